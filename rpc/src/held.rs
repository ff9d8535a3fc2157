//! Answers that are counted until they are read.
//!
//! A body is handed to the transport piece by piece, as the client reads, and its bytes are given back with its last piece.
//! So a client that does not read holds a bounded amount of memory, which new calls are refused for and not the machine.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{
    Status,
    body::Body,
    codegen::{Body as HttpBody, Bytes, http::Response},
};

/// Room that an answer takes.
#[derive(Clone, Debug)]
pub(crate) struct Held(
    #[expect(dead_code, reason = "it counts while it lives")] Arc<OwnedSemaphorePermit>,
);

impl Held {
    /// Most bytes that are handed to the transport at a time.
    pub(crate) const PIECE_BYTES: usize = 64 << 10;

    pub(crate) fn new(room: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(room))
    }
}

/// Ties the room of an answer to its body.
pub(crate) fn hold(mut response: Response<Body>) -> Response<Body> {
    match response.extensions_mut().remove::<Held>() {
        None => response,
        Some(held) => {
            response.map(|body| Body::new(Pieces { body, rest: Bytes::new(), _held: held }))
        }
    }
}

/// A body in pieces.
struct Pieces {
    body: Body,
    /// What came of the body and is not handed on yet.
    rest: Bytes,
    _held: Held,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return other,
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(Held::PIECE_BYTES));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
