//! A token in its compact form (RFC 7515, section 7.1).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, sign_hs256};

/// A token whose signature is not verified yet.
pub struct Token<'a> {
    pub algorithm: Algorithm,
    /// The id of the key that signed it, if it names one.
    pub key_id: Option<String>,
    pub claims: Map<String, Value>,
    /// What is signed: header and claims, encoded.
    pub message: &'a [u8],
    pub signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Reads a token. Of its header, only algorithm and key id are used: a key, or the address of one, never.
    ///
    /// # Errors
    /// A sentence that says why no key can make it valid.
    pub fn parse(token: &'a str) -> Result<Self, &'static str> {
        let malformed = "The token is malformed.";
        let (message, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = message.split_once('.').ok_or(malformed)?;
        let mut header = object(header).ok_or(malformed)?;
        // RFC 7515, section 4.1.11: a critical parameter that is not understood makes a token invalid.
        if header.contains_key("crit") {
            return Err("The token has critical header parameters, and none is supported.");
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::parse);
        let key_id = match header.remove("kid") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(id),
            Some(_) => return Err(malformed),
        };
        Ok(Self {
            algorithm: algorithm.ok_or("The algorithm of the token is not supported.")?,
            key_id,
            claims: object(claims).ok_or(malformed)?,
            message: message.as_bytes(),
            signature: BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed)?,
        })
    }
}

fn object(encoded: &str) -> Option<Map<String, Value>> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
    match serde_json::from_slice(&bytes).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// A token with these claims, signed with HS256.
pub fn sign(secret: &str, claims: &Value) -> Option<String> {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(br#"{"typ":"JWT","alg":"HS256"}"#);
    let message = format!("{header}.{}", encode(claims.to_string().as_bytes()));
    let signature = encode(&sign_hs256(secret, message.as_bytes())?);
    Some(format!("{message}.{signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compact(header: &Value, claims: &Value, signature: &str) -> String {
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{signature}", encode(header), encode(claims))
    }

    fn error(token: &str) -> &'static str {
        Token::parse(token).err().unwrap_or_default()
    }

    #[test]
    fn a_header_says_algorithm_and_key_and_nothing_else() {
        for typ in [json!(null), json!("JWT"), json!("at+jwt"), json!("application/at+jwt")] {
            let header = json!({ "alg": "EdDSA", "typ": typ, "kid": "k", "jku": "http://evil.example", "x5c": 1 });
            let token = compact(&header, &json!({ "sub": "alice" }), "AAAA");
            let token = Token::parse(&token).unwrap();
            assert_eq!((token.algorithm, token.key_id.as_deref()), (Algorithm::Ed25519, Some("k")));
            assert_eq!((token.claims.len(), token.signature.as_slice()), (1, &[0; 3][..]));
        }
        for kid in [json!(7), json!(["k"]), json!({})] {
            let header = json!({ "alg": "RS256", "kid": kid });
            assert_eq!(error(&compact(&header, &json!({}), "AAAA")), "The token is malformed.");
        }
    }

    #[test]
    fn only_supported_algorithms_are_read() {
        for alg in ["none", "None", "", "hs256", "HS256 ", "HS384", "HS512", "ES256K", "ES512", "Ed448", "RSA-OAEP"] {
            let token = compact(&json!({ "alg": alg }), &json!({}), "AAAA");
            assert_eq!(error(&token), "The algorithm of the token is not supported.", "{alg:?}");
        }
        for header in [json!({}), json!({ "alg": null }), json!({ "alg": ["HS256"] })] {
            assert!(error(&compact(&header, &json!({}), "AAAA")).contains("algorithm"), "{header}");
        }
    }

    #[test]
    fn critical_parameters_are_rejected() {
        for crit in [json!(["b64"]), json!([]), json!(null), json!("exp")] {
            let header = json!({ "alg": "HS256", "crit": crit, "b64": false });
            assert!(error(&compact(&header, &json!({}), "AAAA")).contains("critical"), "{crit}");
        }
    }

    #[test]
    fn anything_but_three_parts_of_base64url_is_malformed() {
        let good = compact(&json!({ "alg": "HS256" }), &json!({}), "AAAA");
        assert!(Token::parse(&good).is_ok());
        let list = compact(&json!({ "alg": "HS256" }), &json!([]), "AAAA");
        for token in [
            String::new(),
            "..".into(),
            "a.b.c".into(),
            list,
            format!(".{good}"),
            format!("{good}.AAAA"),
            format!("{good}="),
            format!("{good}+/"),
            good.replacen('.', "", 1),
        ] {
            assert_eq!(error(&token), "The token is malformed.", "{token}");
        }
    }
}
