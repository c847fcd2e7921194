//! The ports over Spin and WASI 0.3. Everything here translates; nothing decides.

pub mod auth;
mod background;
pub mod body;
mod breaker;
pub mod event_stream;
pub mod forward;
mod host;
pub mod http;
pub mod log;
pub mod outbound;
pub mod platform;
pub mod progress;
pub mod s3;
pub mod settings;
pub mod store;
pub mod sweep;
pub mod thumbnail;
pub mod trace;
pub mod watching;
pub mod webhook;

#[cfg(feature = "wasi")]
pub use host::link_thumbnailer;
#[doc(hidden)]
pub use spin_sdk;

/// Makes a component of an async function from a [`http::Request`] and its [`log::RequestLog`] to
/// a `Result<`[`http::Response`]`, `[`moc_domain::error::Error`]`>`. Its requests are traced if `traced` follows, in
/// spans of the name that follows that, if any. In a build for plain WASI it is a part of the one component, which calls
/// its function `serve`.
#[macro_export]
macro_rules! component {
    ($route:literal, $handler:path) => {
        $crate::public_component!($route, $handler, $crate::http::serve);
    };
    ($route:literal, $handler:path, traced) => {
        $crate::public_component!($route, $handler, $crate::http::serve_traced, None);
    };
    ($route:literal, $handler:path, traced as $name:literal) => {
        $crate::public_component!($route, $handler, $crate::http::serve_traced, Some($name));
    };
}

/// A component whose requests are served by `$serve`.
#[cfg(feature = "spin")]
#[doc(hidden)]
#[macro_export]
macro_rules! public_component {
    ($route:literal, $handler:path, $serve:path $(, $name:expr)?) => {
        $crate::export_handler!(request, $serve($route, $($name,)? request, $handler));
    };
}

/// As above, in a build for plain WASI.
#[cfg(feature = "wasi")]
#[doc(hidden)]
#[macro_export]
macro_rules! public_component {
    ($route:literal, $handler:path, $serve:path $(, $name:expr)?) => {
        pub async fn serve(
            request: $crate::spin_sdk::wasip3::http::types::Request,
        ) -> Result<$crate::spin_sdk::wasip3::http::types::Response, $crate::spin_sdk::wasip3::http::types::ErrorCode> {
            $serve($route, $($name,)? request, $handler).await
        }
    };
}

/// Makes a component of an async function from a [`http::Request`] to a
/// `Result<`[`http::Response`]`, `[`moc_domain::error::Error`]`>`, for a private route: whoever
/// calls it logs what becomes of that.
#[macro_export]
macro_rules! private_component {
    ($handler:path) => {
        $crate::export_handler!(request, $crate::http::serve_private(request, $handler));
    };
}

/// Exports a function from a request to the future of its response.
#[doc(hidden)]
#[macro_export]
macro_rules! export_handler {
    ($request:ident, $response:expr) => {
        struct Component;

        $crate::spin_sdk::wasip3::http::service::export!(Component);

        impl $crate::spin_sdk::wasip3::exports::http::handler::Guest for Component {
            async fn handle(
                $request: $crate::spin_sdk::wasip3::http::types::Request,
            ) -> Result<
                $crate::spin_sdk::wasip3::http::types::Response,
                $crate::spin_sdk::wasip3::http::types::ErrorCode,
            > {
                $response.await
            }
        }
    };
}
