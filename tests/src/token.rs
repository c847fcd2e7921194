//! Tokens for tests, valid and invalid, and an issuer that publishes its keys (RFC 7517). The keys are generated once
//! per process.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use p256::pkcs8::EncodePrivateKey as _;
use rand_core::OsRng;
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};
use uuid::Uuid;

/// Bits of the RSA key: the least that the service accepts.
const RSA_BITS: usize = 2048;

static RSA: LazyLock<RsaPrivateKey> = LazyLock::new(|| RsaPrivateKey::new(&mut OsRng, RSA_BITS).expect("an RSA key"));
/// Of Ed25519, in PKCS #8 (RFC 8410, section 7).
static ED25519: LazyLock<EncodingKey> = LazyLock::new(|| {
    let prefix = hex::decode("302e020100300506032b657004220420").expect("hex");
    EncodingKey::from_ed_der(&[prefix, random_bytes(32)].concat())
});
static P384: LazyLock<EncodingKey> = LazyLock::new(|| {
    let key = p384::SecretKey::from_slice(&random_bytes(48)).expect("a P-384 key");
    EncodingKey::from_ec_der(key.to_pkcs8_der().expect("DER").as_bytes())
});
static P256: LazyLock<[p256::SecretKey; 2]> =
    LazyLock::new(|| [(); 2].map(|()| p256::SecretKey::from_slice(&random_bytes(32)).expect("a P-256 key")));

fn random_bytes(length: usize) -> Vec<u8> {
    let blocks = std::iter::repeat_with(|| Uuid::new_v4().into_bytes());
    blocks.flatten().take(length).collect()
}

/// The public half of [`rs256`]'s key in PEM, as an attacker has it.
pub fn rsa_public() -> String {
    RSA.to_public_key().to_public_key_pem(LineEnding::LF).expect("PEM")
}

/// Seconds since the Unix epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The claims of a good token: `user` for five minutes.
pub fn claims(user: &str) -> Value {
    json!({ "sub": user, "exp": now() + 300 })
}

/// An HS256 token.
pub fn hs256(secret: &str, claims: &Value) -> String {
    hmac(Algorithm::HS256, secret.as_bytes(), claims)
}

/// A token of an HMAC algorithm.
pub fn hmac(algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
    sign(&Header::new(algorithm), &EncodingKey::from_secret(secret), claims)
}

/// An RS256 token, its key named `kid`.
pub fn rs256(kid: Option<&str>, claims: &Value) -> String {
    rsa(Algorithm::RS256, kid, claims)
}

/// A token of an RSA algorithm, its key named `kid`.
pub fn rsa(algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
    sign(&header(algorithm, kid), &rsa_key(), claims)
}

/// An ES256 token of key 0 or 1, its key named `kid`.
pub fn es256(key: usize, kid: Option<&str>, claims: &Value) -> String {
    sign(&header(Algorithm::ES256, kid), &p256_key(key), claims)
}

/// A token of a public key's algorithm, its key named `kid`: that of [`any_jwk`].
pub fn any(algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
    sign(&header(algorithm, kid), &any_key(algorithm), claims)
}

/// The public half of the key that [`any`] signs with as a JWK, for any algorithm of its kind.
pub fn any_jwk(algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = jwk(&any_key(algorithm), algorithm, kid);
    jwk.as_object_mut().expect("a JWK is an object").remove("alg");
    jwk
}

fn any_key(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::ES256 => p256_key(0),
        Algorithm::ES384 => P384.clone(),
        Algorithm::EdDSA => ED25519.clone(),
        _ => rsa_key(),
    }
}

/// An HS256 token, soundly signed, whose header has these fields next to `alg`.
pub fn hs256_with_header(secret: &str, fields: Value, claims: &Value) -> String {
    with_header(Algorithm::HS256, &EncodingKey::from_secret(secret.as_bytes()), fields, claims)
}

/// An RS256 token, soundly signed, whose header has these fields next to `alg`.
pub fn rs256_with_header(fields: Value, claims: &Value) -> String {
    with_header(Algorithm::RS256, &rsa_key(), fields, claims)
}

/// An ES256 token of key 0 or 1, soundly signed, whose header has these fields next to `alg`.
pub fn es256_with_header(key: usize, fields: Value, claims: &Value) -> String {
    with_header(Algorithm::ES256, &p256_key(key), fields, claims)
}

fn with_header(algorithm: Algorithm, key: &EncodingKey, mut header: Value, claims: &Value) -> String {
    header["alg"] = json!(algorithm);
    let unsigned = forged(&header, claims, &[]);
    let message = unsigned.trim_end_matches('.');
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).expect("a key signs");
    format!("{message}.{signature}")
}

/// A token with any header, and anything for a signature: what no library makes.
pub fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// The public half of the RSA key as a JWK.
pub fn rsa_jwk(kid: &str) -> Value {
    jwk(&rsa_key(), Algorithm::RS256, kid)
}

/// The public half of P-256 key 0 or 1 as a JWK.
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
    EncodingKey::from_rsa_der(RSA.to_pkcs1_der().expect("DER").as_bytes())
}

fn p256_key(key: usize) -> EncodingKey {
    EncodingKey::from_ec_der(P256[key].to_pkcs8_der().expect("DER").as_bytes())
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
    /// Whether the body of a response never ends.
    stalls: bool,
    fetches: usize,
    /// The head of the last request.
    head: String,
}

impl Issuer {
    fn state(&self) -> MutexGuard<'_, IssuerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn response(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut head = String::new();
        for line in BufReader::new(&stream).lines() {
            let line = line?;
            if line.is_empty() {
                break;
            }
            head.extend([line.as_str(), "\n"]);
        }
        let (status, body, stalls) = {
            let mut state = self.state();
            state.fetches += 1;
            state.head = head;
            (state.status, state.body.clone(), state.stalls)
        };
        let length = body.len();
        if stalls {
            write!(stream, "HTTP/1.1 200 Stalled\r\ncontent-length: {length}\r\n\r\n")?;
            while !self.over.load(Ordering::Relaxed) {
                stream.write_all(b" ")?;
                thread::sleep(Duration::from_millis(200));
            }
            return Ok(());
        }
        write!(
            stream,
            "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )?;
        stream.shutdown(Shutdown::Write)
    }
}

impl JwksServer {
    /// Publishes `keys`.
    pub fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = IssuerState { status: 200, body: key_set(keys), stalls: false, fetches: 0, head: String::new() };
        let shared = Arc::new(Issuer { state: Mutex::new(state), over: AtomicBool::new(false) });
        let issuer = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if issuer.over.load(Ordering::Relaxed) {
                    break;
                }
                let issuer = Arc::clone(&issuer);
                thread::spawn(move || stream.and_then(|stream| issuer.response(stream)));
            }
        });
        Self { address, shared }
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the key set is.
    pub fn url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    /// Publishes other keys from now on.
    pub fn publish(&self, keys: &[Value]) {
        self.response(200, &key_set(keys));
    }

    /// Responds so from now on.
    pub fn response(&self, status: u16, body: &str) {
        let mut state = self.shared.state();
        state.status = status;
        state.stalls = false;
        body.clone_into(&mut state.body);
    }

    /// Responds from now on with a byte every 200 ms, without an end.
    pub fn stall(&self) {
        self.shared.state().stalls = true;
    }

    /// The request line and the headers of the last request.
    pub fn last_head(&self) -> String {
        self.shared.state().head.clone()
    }

    /// How often the key set was asked for.
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
