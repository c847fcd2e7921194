//! Values between the interface and PostgreSQL's types, in Spin's mapping.

use anyhow::Context;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use rust_decimal::Decimal;
use serde_json::Value as Json;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Column as ServerColumn, Row as ServerRow};
use uuid::Uuid;

use super::{Column, DbDataType, DbValue, Error, Interval, ParameterValue, QueryError, Result};

type Parameter = Box<dyn ToSql + Sync + Send>;
type Conversion<T> = std::result::Result<T, Box<dyn std::error::Error + Sync + Send>>;

/// Converts parameters; their types must match those of the statement exactly, because the driver does not cast.
/// Errors: a malformed value, as `malformed`; a range, which this host does not support.
pub fn to_sql(parameters: Vec<ParameterValue>, malformed: fn(String) -> Error) -> Result<Vec<Parameter>> {
    let convert = |value| match value {
        ParameterValue::RangeInt32(_) | ParameterValue::RangeInt64(_) | ParameterValue::RangeDecimal(_) => {
            Err(Error::ValueConversionFailed("the local host does not support range parameters".to_owned()))
        }
        value => parameter(value).map_err(|error| malformed(format!("{error:#}"))),
    };
    parameters.into_iter().map(convert).collect()
}

fn parameter(value: ParameterValue) -> anyhow::Result<Parameter> {
    Ok(match value {
        ParameterValue::Boolean(value) => Box::new(value),
        ParameterValue::Int8(value) => Box::new(value),
        ParameterValue::Int16(value) => Box::new(value),
        ParameterValue::Int32(value) => Box::new(value),
        ParameterValue::Int64(value) => Box::new(value),
        ParameterValue::Floating32(value) => Box::new(value),
        ParameterValue::Floating64(value) => Box::new(value),
        ParameterValue::Str(value) => Box::new(value),
        ParameterValue::Binary(value) => Box::new(value),
        ParameterValue::Date(value) => Box::new(date(value)?),
        ParameterValue::Time(value) => Box::new(time(value)?),
        ParameterValue::Datetime((year, month, day, hour, minute, second, nanosecond)) => {
            Box::new(date((year, month, day))?.and_time(time((hour, minute, second, nanosecond))?))
        }
        ParameterValue::Timestamp(seconds) => {
            let time = DateTime::<Utc>::from_timestamp(seconds, 0);
            Box::new(time.with_context(|| format!("invalid epoch timestamp {seconds}"))?)
        }
        ParameterValue::Uuid(text) => Box::new(Uuid::parse_str(&text).with_context(|| format!("invalid UUID {text}"))?),
        ParameterValue::Jsonb(bytes) => {
            let invalid = || format!("invalid JSON {}", String::from_utf8_lossy(&bytes));
            Box::new(serde_json::from_slice::<Json>(&bytes).with_context(invalid)?)
        }
        ParameterValue::Decimal(text) => Box::new(decimal(&text)?),
        ParameterValue::ArrayInt32(values) => Box::new(values),
        ParameterValue::ArrayInt64(values) => Box::new(values),
        ParameterValue::ArrayDecimal(values) => {
            let convert = |value: &Option<String>| value.as_deref().map(decimal).transpose();
            Box::new(values.iter().map(convert).collect::<anyhow::Result<Vec<_>>>()?)
        }
        ParameterValue::ArrayStr(values) => Box::new(values),
        ParameterValue::Interval(value) => Box::new(value),
        ParameterValue::DbNull => Box::new(Null),
        ParameterValue::RangeInt32(_) | ParameterValue::RangeInt64(_) | ParameterValue::RangeDecimal(_) => {
            anyhow::bail!("ranges are not supported")
        }
    })
}

fn date((year, month, day): (i32, u8, u8)) -> anyhow::Result<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .with_context(|| format!("invalid date y={year}, m={month}, d={day}"))
}

fn time((hour, minute, second, nanosecond): (u8, u8, u8, u32)) -> anyhow::Result<NaiveTime> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nanosecond)
        .with_context(|| format!("invalid time {hour}:{minute}:{second}:{nanosecond}"))
}

fn decimal(text: &str) -> anyhow::Result<Decimal> {
    Decimal::from_str_exact(text).with_context(|| format!("invalid decimal {text}"))
}

/// The name and type of a column.
pub fn column(column: &ServerColumn) -> Column {
    let data_type = match *column.type_() {
        Type::BOOL => DbDataType::Boolean,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbDataType::Str,
        Type::BYTEA => DbDataType::Binary,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DbDataType::Datetime,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        Type::INTERVAL => DbDataType::Interval,
        ref other => DbDataType::Other(other.name().to_owned()),
    };
    Column { name: column.name().to_owned(), data_type }
}

/// Converts a row. A value of a type that the interface does not have, such as `json`, is passed on as the bytes of
/// PostgreSQL's binary format, which for `json` is its text.
/// Errors: a value that its type in the interface cannot represent; a range, which this host does not support.
pub fn from_row(row: &ServerRow) -> Result<Vec<DbValue>> {
    row.columns().iter().enumerate().map(|(index, column)| from_column(row, index, column)).collect()
}

fn from_column(row: &ServerRow, index: usize, column: &ServerColumn) -> Result<DbValue> {
    let value = match *column.type_() {
        Type::BOOL => get(row, index, DbValue::Boolean),
        Type::INT2 => get(row, index, DbValue::Int16),
        Type::INT4 => get(row, index, DbValue::Int32),
        Type::INT8 => get(row, index, DbValue::Int64),
        Type::FLOAT4 => get(row, index, DbValue::Floating32),
        Type::FLOAT8 => get(row, index, DbValue::Floating64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => get(row, index, DbValue::Str),
        Type::BYTEA => get(row, index, DbValue::Binary),
        Type::DATE => get(row, index, |date: NaiveDate| {
            let (year, month, day) = date_fields(date);
            DbValue::Date((year, month, day))
        }),
        Type::TIME => get(row, index, |time: NaiveTime| DbValue::Time(time_fields(time))),
        // The driver does not convert `timestamptz` to this type: it fails here as it does under Spin.
        Type::TIMESTAMP | Type::TIMESTAMPTZ => get(row, index, |value: NaiveDateTime| {
            let (year, month, day) = date_fields(value.date());
            let (hour, minute, second, nanosecond) = time_fields(value.time());
            DbValue::Datetime((year, month, day, hour, minute, second, nanosecond))
        }),
        Type::UUID => get(row, index, |value: Uuid| DbValue::Uuid(value.to_string())),
        Type::JSONB => get(row, index, |value: Json| DbValue::Jsonb(value.to_string().into_bytes())),
        Type::NUMERIC => get(row, index, |value: Decimal| DbValue::Decimal(value.to_string())),
        Type::INT4_RANGE | Type::INT8_RANGE | Type::NUM_RANGE => {
            let text = format!("column {:?}: the local host does not support ranges", column.name());
            return Err(Error::ValueConversionFailed(text));
        }
        Type::INT4_ARRAY => get(row, index, DbValue::ArrayInt32),
        Type::INT8_ARRAY => get(row, index, DbValue::ArrayInt64),
        Type::NUMERIC_ARRAY => get(row, index, |values: Vec<Option<Decimal>>| {
            let text = |value: Option<Decimal>| value.map(|value| value.to_string());
            DbValue::ArrayDecimal(values.into_iter().map(text).collect())
        }),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => get(row, index, DbValue::ArrayStr),
        Type::INTERVAL => get(row, index, DbValue::Interval),
        _ => get(row, index, |Unsupported(bytes)| DbValue::Unsupported(bytes)),
    };
    value.map_err(|error| Error::QueryFailed(QueryError::Text(format!("{error:?}"))))
}

fn get<'a, T: FromSql<'a>>(
    row: &'a ServerRow,
    index: usize,
    wrap: impl Fn(T) -> DbValue,
) -> std::result::Result<DbValue, tokio_postgres::Error> {
    Ok(row.try_get::<_, Option<T>>(index)?.map_or(DbValue::DbNull, wrap))
}

fn date_fields(date: NaiveDate) -> (i32, u8, u8) {
    (date.year(), date.month() as u8, date.day() as u8)
}

fn time_fields(time: NaiveTime) -> (u8, u8, u8, u32) {
    (time.hour() as u8, time.minute() as u8, time.second() as u8, time.nanosecond())
}

/// A value in PostgreSQL's binary format.
struct Unsupported(Vec<u8>);

impl FromSql<'_> for Unsupported {
    fn from_sql(_: &Type, raw: &[u8]) -> Conversion<Self> {
        Ok(Self(raw.to_owned()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// NULL of whatever type the statement has there.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    to_sql_checked!();

    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Conversion<IsNull> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Interval {
    to_sql_checked!();

    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Conversion<IsNull> {
        out.extend_from_slice(&self.micros.to_be_bytes());
        out.extend_from_slice(&self.days.to_be_bytes());
        out.extend_from_slice(&self.months.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }
}

impl FromSql<'_> for Interval {
    fn from_sql(_: &Type, raw: &[u8]) -> Conversion<Self> {
        // Microseconds in 8 bytes, days and months in 4 each.
        let (micros, rest) = raw.split_first_chunk().ok_or("interval: unexpected length")?;
        let (days, rest) = rest.split_first_chunk().ok_or("interval: unexpected length")?;
        let months = rest.try_into()?;
        Ok(Self {
            micros: i64::from_be_bytes(*micros),
            days: i32::from_be_bytes(*days),
            months: i32::from_be_bytes(months),
        })
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }
}
