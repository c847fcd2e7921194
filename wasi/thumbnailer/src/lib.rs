//! The thumbnailer for hosts of plain WASI: the component of Spin, with its variables in the environment. It has a
//! crate of its own so that neither build replaces the file of the other.
#![cfg(feature = "wasi")]

#[path = "../../../components/thumbnailer/src/lib.rs"]
mod thumbnailer;
