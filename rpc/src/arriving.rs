//! Requests that are counted while they arrive.
//!
//! The length of a message comes before its bytes. Room for a large one is taken then, and given back when the call has all
//! of it and takes room of its own. So clients that send slowly hold a bounded amount of memory. A compressed message counts as
//! much as it can unpack to. Streams are left out: there are few at a time, and each holds one message.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{
    Status,
    body::Body,
    codegen::{Body as HttpBody, Bytes, http::Request},
};

use crate::{held::Held, limits::MAX_MESSAGE_BYTES, room::Room};

/// A flag, and the length of the message in four bytes.
const PREFIX_BYTES: usize = 5;
/// Calls whose requests are streams.
const STREAMS: [&str; 2] = ["/moiety.v1.Records/Import", "/moiety.v1.Admin/UploadSnapshot"];

/// Most bytes that a byte of each encoding unpacks to: of deflate, in gzip, 1,032; of zstd a block of four bytes repeats one of
/// them 128 Ki times.
const MOST_UNPACKED: [(&str, usize); 2] = [("gzip", 1_032), ("zstd", 32 << 10)];

/// Ties room to the body of a request, as soon as its length is known.
pub(crate) fn count(request: Request<Body>, room: &Room) -> Request<Body> {
    if STREAMS.contains(&request.uri().path()) {
        return request;
    }
    let room = room.clone();
    let prefix = [0; PREFIX_BYTES];
    let encoding = request.headers().get("grpc-encoding").and_then(|name| name.to_str().ok());
    let of_encoding = MOST_UNPACKED.iter().find(|(name, _)| Some(*name) == encoding);
    let unpacks_to = of_encoding.map_or(1, |(_, most)| *most);
    request.map(|body| Body::new(Arriving { body, prefix, seen: 0, unpacks_to, room, held: None }))
}

/// The body of a request of one message.
struct Arriving {
    body: Body,
    prefix: [u8; PREFIX_BYTES],
    /// Bytes of the prefix that came.
    seen: usize,
    /// Most bytes that one byte of a compressed message becomes.
    unpacks_to: usize,
    room: Room,
    held: Option<OwnedSemaphorePermit>,
}

impl Arriving {
    /// Takes room when the prefix is whole.
    fn look_at(&mut self, data: &[u8]) -> Result<(), Status> {
        let came = data.len().min(PREFIX_BYTES - self.seen);
        if came == 0 {
            return Ok(());
        }
        self.prefix[self.seen..][..came].copy_from_slice(&data[..came]);
        self.seen += came;
        let [is_compressed, length @ ..] = self.prefix;
        let length = u32::from_be_bytes(length) as usize;
        let unpacked = match is_compressed {
            0 => length,
            _ => length.saturating_mul(self.unpacks_to).min(MAX_MESSAGE_BYTES),
        };
        // Small messages are let through, and those that are too large are refused before they are read.
        let is_counted = length <= MAX_MESSAGE_BYTES && unpacked >= Held::PIECE_BYTES;
        if self.seen == PREFIX_BYTES && is_counted {
            self.held = Some(self.room.take(unpacked)?);
        }
        Ok(())
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && let Err(refusal) = self.look_at(data)
        {
            return Poll::Ready(Some(Err(refusal)));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
