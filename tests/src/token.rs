//! Tokens for tests, good and bad, and an issuer that publishes its keys (RFC 7517).

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

/// Keys made for these tests; they guard nothing.
const RSA_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDGoaaMluFK8sa9
L0aLfqRy0a6R+NhNajGlQ6SlkRLk+8EkSyb50PblU7/yorXmvPoZXIWaRAjqlMSU
GDV1IB0Hdskvd70s+YDd56/qrqnrzu7Kv6O7KDd8AmWsIMlQnIKQ66TUqVWqAofL
aER3Kxbq+n1O9OY/d+jyLywfSXCMlTjqgEcCPZ5kR6ELQlTgPxN5z7z3vA+eUXRx
RpQf2ZyZ9Bv6pbAmi5hOpYaLA2UnkiaHoql5ZrgOoAZIpvcknUMDnUoG9jMWWlfj
HVgnuHnv0YJaOFLqwbZ7hpLwlzGQoqTlxXG6JB7yFllFh/6PgWfOi+EgAJMG8/oy
H7Xa+HQBAgMBAAECggEAFSQ8hWdDyIXpqFZBVHSgzUXLJmdNooPEj/oQqryzvaKc
LqA/IEThGoyc+BbgdJQ1rIBgCgjmyA0YlUi0W+iUnmhCxqYggQp3cGcKHtkDZgFr
AjJ+m1uO+EiLCNSeiNF3xjQGocn6P7OwP3K0Itj3wf/yWXaQkT3SkgB6WkQnUhcZ
nNDDguhZpyIrOrfDHGCNWJFYYvz/+RuXcVzwb2PV/+AN8v1kl9wrSByE9BCgq8rH
Z2e5ldxdGoysyhdN/sFYptCQSyYIKNi6sHtAdq9Xb4MVRTfk7B7iDVbMDGDvgBkv
KWHNAQl2niifcWwHj1rn1NZFbKiTs2RofZ9MQtSF3wKBgQD8rIP2X1x4O0orz9qo
TLnzlTa1IBktaTmI+NdURjwnoeJtimUm8te04HREZ7ow1qM7LTtZH21XtrMVCACa
u+MrP92m5dlT+XU+ydhCdB8+BE819Nswk2HJk3mhD9s40sAts5OEQJ1OOFWaFGgJ
RKEoMBER7g2R00eX1g5b6FJFRwKBgQDJPwSKx+oszatBV7Nt0Hj3/uxEg2oJdDcA
s/dSVa/53rBqMYT6aWvzkW59Xkvf8jHCz7XCnQbUAZ2VtpmMr4IqZvtTWrg6qkkH
zipsoKZ1vvkV52deRYuzuEqMuf+Fr7YyLfUjcqWHBxuAfQ7R6wRkG7IpWdeKPYX2
t8B4F5PAdwKBgEPp3qJG6WTLktkJyhy4Wra04Xp3gSzqfnNpZv8YzaxdX63Pp/Z7
CS1tsvJ76tibqE4Mj0oaH1qXGbVKbFcqrxl91ga4+twOTcwtlnnuGkOiBuRaxttc
kckLYYK/701roAnonXrLnzxZ+fArEfeDwck6eiwWjwEmB7Uw7LUZUZubAoGACRk7
SFb/hGUMEBk5+IYLYhL5daOHYMQLVJHOZb+QBDkIOtTgUT4A7nMtzqc7wPU/QLKJ
YjIdQ+qKyGEIEi9BME+Vn1AjsitOv/aXPnAI9pvawR3EM6PrTAXSAQjLv6yRDTW8
toyRZUhx+t4slFsOyMPjyzDPqOVdMClgn01ZlcMCgYEA81C+2tTHryDv/rtbJeL8
z6psf2JcsioOIpC92bFKx+wnW3J3aLGA5Nsvw5eiP9ovcXkN39uPPKrf3cFF47Zn
ErOJQjo7JvMvofPgVIlo4/btNM6bDeG2LcQ4px3HZLCKZ7CMIY0oo0ubl+WKOs/H
Yv8zg3WN8c0fyIHj0MYN73k=
-----END PRIVATE KEY-----";
/// The public half of [`rs256`]'s key, as an attacker has it.
pub const RSA_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxqGmjJbhSvLGvS9Gi36k
ctGukfjYTWoxpUOkpZES5PvBJEsm+dD25VO/8qK15rz6GVyFmkQI6pTElBg1dSAd
B3bJL3e9LPmA3eev6q6p687uyr+juyg3fAJlrCDJUJyCkOuk1KlVqgKHy2hEdysW
6vp9TvTmP3fo8i8sH0lwjJU46oBHAj2eZEehC0JU4D8Tec+897wPnlF0cUaUH9mc
mfQb+qWwJouYTqWGiwNlJ5Imh6KpeWa4DqAGSKb3JJ1DA51KBvYzFlpX4x1YJ7h5
79GCWjhS6sG2e4aS8JcxkKKk5cVxuiQe8hZZRYf+j4FnzovhIACTBvP6Mh+12vh0
AQIDAQAB
-----END PUBLIC KEY-----\n";
const P256_PRIVATE: [&str; 2] = [
    "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUuV0aa9wvRF6xgYZ
Z5IKs5zKMJwoSd3xPtHorJu1YqmhRANCAAS+U4GDRD6iPf79HhEYt0WRj37mbL0w
eNkC5nt8DZQ1Z7oqdQrRxHcoh1MieEYc4uXtyDUoRiTA5hjqXbQ1+kDf
-----END PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqVWDhdLES/oGpCVd
9oAZW1+zg0BJE+1kQJ1RUwCzCeqhRANCAAQuR1BIygth15rjzt9Q4nlmtYmMdmWV
NQfsTyrwvp4666ySWgwRry9QFu5MsrUZtZGUPqwQDvxbKEbXpZaHHVhZ
-----END PRIVATE KEY-----",
];

/// Seconds since the Unix epoch.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The claims of a good token: `user` for five minutes.
#[must_use]
pub fn claims(user: &str) -> Value {
    json!({ "sub": user, "exp": now() + 300 })
}

/// An HS256 token.
#[must_use]
pub fn hs256(secret: &str, claims: &Value) -> String {
    hmac(Algorithm::HS256, secret.as_bytes(), claims)
}

/// A token of an HMAC algorithm.
#[must_use]
pub fn hmac(algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
    sign(&Header::new(algorithm), &EncodingKey::from_secret(secret), claims)
}

/// An RS256 token, its key named `kid`.
#[must_use]
pub fn rs256(kid: Option<&str>, claims: &Value) -> String {
    rsa(Algorithm::RS256, kid, claims)
}

/// A token of an RSA algorithm, its key named `kid`.
#[must_use]
pub fn rsa(algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
    sign(&header(algorithm, kid), &rsa_key(), claims)
}

/// An ES256 token of key 0 or 1, its key named `kid`.
#[must_use]
pub fn es256(key: usize, kid: Option<&str>, claims: &Value) -> String {
    sign(&header(Algorithm::ES256, kid), &p256_key(key), claims)
}

/// An HS256 token, soundly signed, whose header has these members beside `alg`.
#[must_use]
pub fn hs256_with_header(secret: &str, members: Value, claims: &Value) -> String {
    with_header(Algorithm::HS256, &EncodingKey::from_secret(secret.as_bytes()), members, claims)
}

/// An RS256 token, soundly signed, whose header has these members beside `alg`.
#[must_use]
pub fn rs256_with_header(members: Value, claims: &Value) -> String {
    with_header(Algorithm::RS256, &rsa_key(), members, claims)
}

/// An ES256 token of key 0 or 1, soundly signed, whose header has these members beside `alg`.
#[must_use]
pub fn es256_with_header(key: usize, members: Value, claims: &Value) -> String {
    with_header(Algorithm::ES256, &p256_key(key), members, claims)
}

fn with_header(algorithm: Algorithm, key: &EncodingKey, mut header: Value, claims: &Value) -> String {
    header["alg"] = json!(algorithm);
    let unsigned = forged(&header, claims, &[]);
    let message = unsigned.trim_end_matches('.');
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).expect("a key signs");
    format!("{message}.{signature}")
}

/// A token with any header, and anything for a signature: what no library makes.
#[must_use]
pub fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// The public half of the RSA key as a JWK.
#[must_use]
pub fn rsa_jwk(kid: &str) -> Value {
    jwk(&rsa_key(), Algorithm::RS256, kid)
}

/// The public half of P-256 key 0 or 1 as a JWK.
#[must_use]
pub fn p256_jwk(key: usize, kid: &str) -> Value {
    jwk(&p256_key(key), Algorithm::ES256, kid)
}

fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
    Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }
}

fn sign(header: &Header, key: &EncodingKey, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, key).expect("a key of the algorithm's kind")
}

fn rsa_key() -> EncodingKey {
    EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).expect("a sound key")
}

fn p256_key(key: usize) -> EncodingKey {
    EncodingKey::from_ec_pem(P256_PRIVATE[key].as_bytes()).expect("a sound key")
}

fn jwk(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).expect("a sound key");
    jwk.common.key_id = Some(kid.to_owned());
    serde_json::to_value(jwk).expect("a JWK is JSON")
}

/// An issuer's key set over HTTP, which counts how often it is fetched. It ends when it is dropped.
pub struct JwksServer {
    address: SocketAddr,
    shared: Arc<Issuer>,
}

struct Issuer {
    state: Mutex<IssuerState>,
    over: AtomicBool,
}

struct IssuerState {
    status: u16,
    body: String,
    fetches: usize,
}

impl Issuer {
    fn state(&self) -> MutexGuard<'_, IssuerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        for line in BufReader::new(&stream).lines() {
            if line?.is_empty() {
                break;
            }
        }
        let (status, body) = {
            let mut state = self.state();
            state.fetches += 1;
            (state.status, state.body.clone())
        };
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status} As Told\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )?;
        stream.shutdown(Shutdown::Write)
    }
}

impl JwksServer {
    /// Publishes `keys`.
    ///
    /// # Panics
    /// Where no port is to be had.
    #[must_use]
    pub fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = IssuerState { status: 200, body: key_set(keys), fetches: 0 };
        let shared = Arc::new(Issuer { state: Mutex::new(state), over: AtomicBool::new(false) });
        let issuer = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if issuer.over.load(Ordering::Relaxed) {
                    break;
                }
                let _ = stream.and_then(|stream| issuer.answer(stream));
            }
        });
        Self { address, shared }
    }

    /// Its origin.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the key set is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    /// Publishes other keys from now on.
    pub fn publish(&self, keys: &[Value]) {
        self.answer(200, &key_set(keys));
    }

    /// Answers so from now on.
    pub fn answer(&self, status: u16, body: &str) {
        let mut state = self.shared.state();
        state.status = status;
        body.clone_into(&mut state.body);
    }

    /// How often the key set was asked for.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.shared.state().fetches
    }
}

impl Drop for JwksServer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the thread, so that it sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn key_set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}
