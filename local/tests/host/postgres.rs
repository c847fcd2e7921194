//! `spin:postgres` over a PostgreSQL server, which these tests start if it is installed.

use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use moc_local::allowed_hosts::AllowedHosts;
use moc_local::postgres::{Column, Connection, DbValue, Error, Interval, ParameterValue, Pools, QueryError, Row};
use moc_local::variables::Variables;
use moc_servers::PostgresServer;
use tokio::time::timeout;

/// Connections that one pool may hold.
const POOL: usize = 64;

static SERVER: LazyLock<Option<PostgresServer>> = LazyLock::new(|| {
    let started = PostgresServer::start(200);
    // Not `eprintln!`, which a test that passes does not show.
    started.inspect_err(|reason| drop(writeln!(std::io::stderr(), "skipped: {reason}"))).ok()
});

fn grants(entries: &[&str]) -> AllowedHosts {
    let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
    AllowedHosts::parse(&entries, &Variables::default(), [].iter()).expect("grants")
}

/// A component with a database of its own.
struct Component {
    pools: Pools,
    hosts: AllowedHosts,
    url: String,
}

impl Component {
    /// Nothing if PostgreSQL is not installed.
    fn new() -> Option<Self> {
        let server = SERVER.as_ref()?;
        let url = server.create_database("read committed");
        Some(Self { pools: Pools::default(), hosts: grants(&[&server.origin()]), url })
    }

    async fn connect(&self) -> Connection {
        self.pools.connect(&self.hosts, self.url.clone(), None).await.expect("a connection")
    }

    /// The error of an address.
    async fn error(&self, address: String) -> String {
        match self.pools.connect(&self.hosts, address.clone(), None).await {
            Ok(_) => panic!("{address} is accepted"),
            Err(Error::ConnectionFailed(text)) => text,
            Err(error) => panic!("{address}: {error:?}"),
        }
    }
}

async fn query(
    connection: &Connection,
    sql: &str,
    parameters: Vec<ParameterValue>,
) -> Result<(Vec<Column>, Vec<Row>), Error> {
    let mut running = connection.query(sql, parameters).await?;
    let mut rows = Vec::new();
    while let Some(row) = running.rows.recv().await {
        rows.push(row);
    }
    running.end.await.expect("an end")?;
    Ok((running.columns, rows))
}

async fn value(connection: &Connection, sql: &str) -> DbValue {
    let (_, mut rows) = query(connection, sql, Vec::new()).await.expect(sql);
    rows.pop().and_then(|mut row| row.pop()).expect("a value")
}

async fn process_id(connection: &Connection) -> i32 {
    match value(connection, "SELECT pg_backend_pid()").await {
        DbValue::Int32(id) => id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn values_come_back_as_they_were_sent() {
    use ParameterValue as P;
    let Some(component) = Component::new() else { return };
    let connection = component.connect().await;
    let text = |text: &str| text.to_owned();
    let cases = [
        ("bool", P::Boolean(true), "Boolean"),
        ("int2", P::Int16(-2), "Int16"),
        ("int4", P::Int32(i32::MIN), "Int32"),
        ("int8", P::Int64(i64::MAX), "Int64"),
        ("float4", P::Floating32(0.5), "Floating32"),
        ("float8", P::Floating64(-0.25), "Floating64"),
        ("text", P::Str(text("größer")), "Str"),
        ("varchar", P::Str(text("")), "Str"),
        ("bytea", P::Binary(vec![0, 255, 7]), "Binary"),
        ("date", P::Date((2024, 2, 29)), "Date"),
        ("time", P::Time((23, 59, 58, 123_456_000)), "Time"),
        ("timestamp", P::Datetime((1969, 12, 31, 23, 59, 58, 1_000)), "Datetime"),
        ("uuid", P::Uuid(text("0198c0de-0000-7000-8000-000000000001")), "Uuid"),
        ("jsonb", P::Jsonb(br#"{"a":[1,null,"x"]}"#.to_vec()), "Jsonb"),
        ("numeric", P::Decimal(text("-12345678901234567890.0123")), "Decimal"),
        ("int4[]", P::ArrayInt32(vec![Some(1), None]), "ArrayInt32"),
        ("int8[]", P::ArrayInt64(vec![None, Some(1 << 40)]), "ArrayInt64"),
        ("numeric[]", P::ArrayDecimal(vec![Some(text("0.10")), None]), "ArrayDecimal"),
        ("text[]", P::ArrayStr(vec![Some(text("a,b")), None]), "ArrayStr"),
        ("interval", P::Interval(Interval { micros: -1, days: 2, months: 14 }), "Interval"),
    ];
    for (sql_type, parameter, data_type) in cases {
        let sent = format!("{parameter:?}").replace("ParameterValue", "DbValue");
        let (columns, rows) =
            query(&connection, &format!("SELECT $1::{sql_type} AS v"), vec![parameter]).await.expect(sql_type);
        assert_eq!(format!("{:?}", rows[0][0]), sent, "{sql_type}");
        assert_eq!(
            (columns[0].name.as_str(), format!("{:?}", columns[0].data_type)),
            ("v", format!("DbDataType::{data_type}"))
        );
        let null = query(&connection, &format!("SELECT $1::{sql_type}"), vec![P::DbNull]).await.expect(sql_type);
        assert!(matches!(null.1[0][0], DbValue::DbNull), "{sql_type}: {null:?}");
    }
    let internal = query(&connection, r#"SELECT $1::"char"::text"#, vec![P::Int8(65)]).await.expect("a char").1;
    assert!(matches!(&internal[0][0], DbValue::Str(text) if text == "A"), "{internal:?}");
    let time = vec![P::Timestamp(86_400)];
    let time = query(&connection, "SELECT ($1::timestamptz AT TIME ZONE 'UTC')", time).await.expect("a timestamp").1;
    assert!(matches!(time[0][0], DbValue::Datetime((1970, 1, 2, 0, 0, 0, 0))), "{time:?}");
}

#[tokio::test]
async fn json_and_other_types_come_as_bytes() {
    let Some(component) = Component::new() else { return };
    let connection = component.connect().await;
    let sql = "SELECT json_build_object('a', 1) AS v";
    let (columns, rows) = query(&connection, sql, Vec::new()).await.expect("a row");
    assert_eq!(format!("{:?}", columns[0].data_type), r#"DbDataType::Other("json")"#);
    assert!(matches!(&rows[0][0], DbValue::Unsupported(bytes) if bytes == br#"{"a" : 1}"#), "{rows:?}");
}

#[tokio::test]
async fn rows_arrive_while_they_are_read() {
    let Some(component) = Component::new() else { return };
    let connection = component.connect().await;
    let (columns, rows) = query(&connection, "SELECT generate_series(1, 1000)", Vec::new()).await.expect("rows");
    assert_eq!((columns.len(), rows.len()), (1, 1000));
    let (columns, rows) = query(&connection, "SELECT 1 WHERE false", Vec::new()).await.expect("no row");
    assert_eq!((columns.len(), rows.len()), (0, 0));

    // A reader that stops early leaves the connection usable.
    let mut running = connection.query("SELECT generate_series(1, 100000)", Vec::new()).await.expect("rows");
    assert!(running.rows.recv().await.is_some());
    drop(running);
    assert!(matches!(value(&connection, "SELECT 7").await, DbValue::Int32(7)));
}

#[tokio::test]
async fn errors_say_what_the_server_says() {
    let Some(component) = Component::new() else { return };
    let connection = component.connect().await;
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)", Vec::new()).await.expect("a table");
    let insert = || connection.execute("INSERT INTO t SELECT generate_series(1, 3)", Vec::new());
    assert_eq!(insert().await.expect("rows"), 3);
    let Err(Error::QueryFailed(QueryError::DbError(error))) = insert().await else { panic!("a duplicate is accepted") };
    assert_eq!((error.code.as_str(), error.severity.as_str()), ("23505", "ERROR"));
    assert_eq!(error.message, r#"duplicate key value violates unique constraint "t_pkey""#);
    assert_eq!(error.detail.as_deref(), Some("Key (id)=(1) already exists."));
    for expected in [("constraint", "t_pkey"), ("table", "t"), ("schema", "public")] {
        assert!(error.extras.iter().any(|(name, value)| (name.as_str(), value.as_str()) == expected), "{error:?}");
    }

    let code = |result: Result<_, Error>| match result {
        Err(Error::QueryFailed(QueryError::DbError(error))) => error.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(query(&connection, "SELEC", Vec::new()).await), "42601");
    // This one comes after the first row.
    assert_eq!(code(query(&connection, "SELECT 1 / (2 - n) FROM generate_series(1, 2) n", Vec::new()).await), "22012");
    assert!(matches!(value(&connection, "SELECT 7").await, DbValue::Int32(7)));
}

#[tokio::test]
async fn values_that_do_not_fit_are_rejected() {
    use ParameterValue as P;
    let Some(component) = Component::new() else { return };
    let connection = component.connect().await;
    let malformed = [
        ("uuid", P::Uuid("x".to_owned()), "invalid UUID x"),
        ("jsonb", P::Jsonb(b"{".to_vec()), "invalid JSON {"),
        ("numeric", P::Decimal("1,5".to_owned()), "invalid decimal 1,5"),
        ("date", P::Date((2023, 2, 29)), "invalid date y=2023, m=2, d=29"),
        ("time", P::Time((24, 0, 0, 0)), "invalid time 24:0:0:0"),
    ];
    for (sql_type, parameter, expected) in malformed {
        let sql = format!("SELECT $1::{sql_type}");
        let executed = connection.execute(&sql, vec![parameter.clone()]).await;
        assert!(
            matches!(&executed, Err(Error::ValueConversionFailed(text)) if text.contains(expected)),
            "{executed:?}"
        );
        let queried = query(&connection, &sql, vec![parameter]).await;
        assert!(matches!(&queried, Err(Error::BadParameter(text)) if text.contains(expected)), "{queried:?}");
    }
    // The driver casts nothing, not even integers.
    let cast = query(&connection, "SELECT $1::int8", vec![P::Int32(1)]).await;
    assert!(matches!(cast, Err(Error::QueryFailed(QueryError::Text(_)))), "{cast:?}");
    let zoned = query(&connection, "SELECT now()", Vec::new()).await;
    assert!(matches!(zoned, Err(Error::QueryFailed(QueryError::Text(_)))), "{zoned:?}");
    let range = query(&connection, "SELECT int4range(1, 3)", Vec::new()).await;
    assert!(matches!(range, Err(Error::ValueConversionFailed(_))), "{range:?}");
    let range = query(&connection, "SELECT $1::int4range", vec![P::RangeInt32((None, None))]).await;
    assert!(matches!(range, Err(Error::ValueConversionFailed(_))), "{range:?}");
    assert!(matches!(value(&connection, "SELECT 7").await, DbValue::Int32(7)));
}

#[tokio::test]
async fn every_server_of_an_address_must_be_granted() {
    let Some(component) = Component::new() else { return };
    let port = SERVER.as_ref().expect("a server").port();
    let denied = [
        ("postgres://test@localhost:PORT/postgres", "address postgres://localhost:PORT is not permitted"),
        ("postgres://test@127.0.0.1:1/postgres", "address postgres://127.0.0.1:1 is not permitted"),
        ("postgres://test@127.0.0.1/postgres", "address postgres://127.0.0.1:5432 is not permitted"),
        ("host=127.0.0.1,10.0.0.1 port=PORT user=test", "address postgres://10.0.0.1:PORT is not permitted"),
        ("host=127.0.0.1,127.0.0.1 port=PORT,1 user=test", "address postgres://127.0.0.1:1 is not permitted"),
        ("host=127.0.0.1 hostaddr=10.0.0.1 port=PORT user=test", "address postgres://10.0.0.1:PORT is not permitted"),
        ("host=/var/run/postgresql port=PORT user=test", "Unix sockets are not supported on WebAssembly"),
        ("postgres://test@%2Fvar%2Frun/postgres", "Unix sockets are not supported on WebAssembly"),
        ("no address", "invalid connection string"),
    ];
    for (address, expected) in denied {
        let [address, expected] = [address, expected].map(|text| text.replace("PORT", &port.to_string()));
        let text = component.error(address.clone()).await;
        assert!(text.starts_with(&expected), "{address}: {text}");
    }
    for address in ["host=127.0.0.1 port=PORT user=test dbname=postgres", "postgresql://test@127.0.0.1:PORT/postgres"] {
        let address = address.replace("PORT", &port.to_string());
        let connection = component.pools.connect(&component.hosts, address.clone(), None).await.expect(&address);
        assert!(matches!(value(&connection, "SELECT 7").await, DbValue::Int32(7)));
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_says_why() {
    let Some(component) = Component::new() else { return };
    let text = component.error(component.url.replace("sslmode=disable", "sslmode=require")).await;
    assert!(text.contains("server does not support TLS"), "{text}");
    let text = component.error(component.url.replace("/test_", "/missing_")).await;
    assert!(text.contains("does not exist"), "{text}");
    let text = component.error(component.url.replace("//test@", "//nobody@")).await;
    assert!(text.contains(r#"role "nobody" does not exist"#), "{text}");
    let closed = Component { hosts: grants(&["postgres://127.0.0.1:1"]), ..component };
    let text = closed.error("postgres://test@127.0.0.1:1/postgres".to_owned()).await;
    assert!(text.contains("Connection refused"), "{text}");
}

#[tokio::test]
async fn a_released_connection_is_cleaned_and_used_again() {
    let Some(component) = Component::new() else { return };
    let connection = component.connect().await;
    let first = process_id(&connection).await;
    connection.execute("SET statement_timeout = 1234", Vec::new()).await.expect("a setting");
    connection.execute("CREATE TEMPORARY TABLE mine (id int)", Vec::new()).await.expect("a table");
    drop(connection);
    let connection = component.connect().await;
    assert_eq!(process_id(&connection).await, first);
    assert!(matches!(value(&connection, "SHOW statement_timeout").await, DbValue::Str(text) if text == "0"));
    assert!(matches!(value(&connection, "SELECT to_regclass('mine')::text").await, DbValue::DbNull));

    let other = Component { pools: Pools::default(), hosts: component.hosts, url: component.url };
    drop(connection);
    assert_ne!(process_id(&other.connect().await).await, first, "components share a pool");
}

#[tokio::test]
async fn a_pool_has_a_limit_and_heals() {
    let Some(component) = Component::new() else { return };
    let mut connections = Vec::new();
    for _ in 0..POOL {
        connections.push(component.connect().await);
    }
    let waiting = timeout(Duration::from_millis(200), component.connect()).await;
    assert!(waiting.is_err(), "one more than the limit");
    connections.pop();
    let connection = timeout(Duration::from_secs(10), component.connect()).await.expect("the released connection");

    // The server ends an idle connection of the pool.
    let ended = process_id(&connections[0]).await;
    drop(connections);
    connection.execute(&format!("SELECT pg_terminate_backend({ended}, 5000)"), Vec::new()).await.expect("terminated");
    for _ in 1..POOL {
        assert_ne!(process_id(&component.connect().await).await, ended);
    }
}
