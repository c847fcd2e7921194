//! The algorithms that tokens may have (RFC 7518, section 3; RFC 8037), and the keys that they verify with.

use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::Verifier as _;
use rsa::BoxedUint;
use sha2::{Sha256, Sha384, Sha512};

/// Smallest and largest RSA modulus, in bits (RFC 7518, section 3.3).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Hs256,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Ed25519,
}

impl Algorithm {
    /// Reads `alg`. Ed25519 is the only curve here, so the old name `EdDSA` is that of RFC 9864.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs256,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::Ed25519,
            _ => return None,
        })
    }
}

/// A public key, as an issuer publishes it.
pub enum PublicKey {
    /// Modulus and exponent.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point in SEC1's uncompressed form.
    P256(Vec<u8>),
    /// A point in SEC1's uncompressed form.
    P384(Vec<u8>),
    Ed25519([u8; 32]),
}

impl PublicKey {
    /// Whether this kind of key verifies signatures of this algorithm.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Hs256 => false,
            Algorithm::Es256 => matches!(self, Self::P256(_)),
            Algorithm::Es384 => matches!(self, Self::P384(_)),
            Algorithm::Ed25519 => matches!(self, Self::Ed25519(_)),
            _ => matches!(self, Self::Rsa { .. }),
        }
    }

    /// Whether `signature` is that of `message`. A key that is malformed or does not fit verifies nothing.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.verify(algorithm, message, signature).is_some()
    }

    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<()> {
        match (self, algorithm) {
            (Self::Rsa { n, e }, _) => {
                let number = BoxedUint::from_be_slice_vartime;
                let key = rsa::PublicKey::new_with_size_limits(number(n), number(e), RSA_BITS).ok()?;
                match algorithm {
                    Algorithm::Rs256 => key.pkcs1v15_verify::<Sha256>(message, signature),
                    Algorithm::Rs384 => key.pkcs1v15_verify::<Sha384>(message, signature),
                    Algorithm::Rs512 => key.pkcs1v15_verify::<Sha512>(message, signature),
                    Algorithm::Ps256 => key.pss_verify::<Sha256>(message, signature),
                    Algorithm::Ps384 => key.pss_verify::<Sha384>(message, signature),
                    Algorithm::Ps512 => key.pss_verify::<Sha512>(message, signature),
                    _ => return None,
                }
                .ok()
            }
            (Self::P256(point), Algorithm::Es256) => {
                let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
                p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?.verify(message, &signature).ok()
            }
            (Self::P384(point), Algorithm::Es384) => {
                let signature = p384::ecdsa::Signature::from_slice(signature).ok()?;
                p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?.verify(message, &signature).ok()
            }
            (Self::Ed25519(key), Algorithm::Ed25519) => {
                let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
                // Strict: no key of a small order, for which a signature says nothing.
                ed25519_dalek::VerifyingKey::from_bytes(key).ok()?.verify_strict(message, &signature).ok()
            }
            _ => None,
        }
    }
}

/// HS256: HMAC with SHA-256.
fn hs256(secret: &[u8], message: &[u8]) -> Option<Hmac<Sha256>> {
    Some(Hmac::<Sha256>::new_from_slice(secret).ok()?.chain_update(message))
}

/// The HS256 signature of `message`.
pub fn sign_hs256(secret: &str, message: &[u8]) -> Option<Vec<u8>> {
    Some(hs256(secret.as_bytes(), message)?.finalize().into_bytes().to_vec())
}

/// Whether `signature` is the HS256 signature of `message`, compared in constant time.
pub fn verifies_hs256(secret: &[u8], message: &[u8], signature: &[u8]) -> bool {
    hs256(secret, message).is_some_and(|mac| mac.verify_slice(signature).is_ok())
}
