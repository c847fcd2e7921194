//! Signals from one request of an instance to another.
//!
//! Tasks of different requests cannot wake each other by a `Waker`: the bindings panic without their feature
//! `inter-task-wakeup` (<https://github.com/bytecodealliance/wit-bindgen/pull/1440>), which the linker of the target
//! wasm32-wasip2 does not know (<https://github.com/bytecodealliance/wit-bindgen/issues/1483>). But the host delivers
//! the end of a stream to whoever reads it, also where both of its ends are in one instance.

use spin_sdk::wasip3::wit_stream;
use spin_sdk::wit_bindgen::StreamWriter;

/// Is given by dropping it.
pub struct Signal {
    _writer: StreamWriter<u8>,
}

/// A signal, and a future that is ready once it is given.
pub fn new() -> (Signal, impl Future<Output = ()>) {
    let (writer, mut reader) = wit_stream::new::<u8>();
    let called = async move {
        // Nothing is written: this ends with the stream.
        reader.read(Vec::with_capacity(1)).await;
    };
    (Signal { _writer: writer }, called)
}
