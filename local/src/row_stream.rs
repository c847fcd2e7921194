//! The rows of a statement as a stream of the component model.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, Lower, StreamProducer, StreamResult};

/// Rows that a statement may be ahead of their reader, as under Spin.
pub const ROWS_AHEAD: usize = 4;

/// Passes each row to the guest as it arrives.
pub struct RowStream<R>(pub mpsc::Receiver<R>);

impl<R: Lower + Send + Sync + 'static, D> StreamProducer<D> for RowStream<R> {
    type Item = R;
    type Buffer = Option<R>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, R, Option<R>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        Poll::Ready(Ok(match self.0.poll_recv(cx) {
            Poll::Ready(None) => StreamResult::Dropped,
            Poll::Ready(row) => {
                destination.set_buffer(row);
                StreamResult::Completed
            }
            Poll::Pending if finish => StreamResult::Cancelled,
            Poll::Pending => return Poll::Pending,
        }))
    }
}
