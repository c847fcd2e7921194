//! What the two kinds of hosts do differently: where variables are, what instances share, and how the work of private
//! components is called. Everything else uses WASI alone.

#[cfg(feature = "spin")]
mod spin;
#[cfg(feature = "wasi")]
mod wasi;

#[cfg(not(any(feature = "spin", feature = "wasi")))]
compile_error!("choose a host: the feature `spin` or `wasi`");
#[cfg(all(feature = "spin", feature = "wasi"))]
compile_error!("the features `spin` and `wasi` exclude each other: `--no-default-features` turns `spin` off");

#[cfg(all(feature = "spin", not(feature = "wasi")))]
pub use spin::*;
#[cfg(all(feature = "wasi", not(feature = "spin")))]
pub use wasi::*;
