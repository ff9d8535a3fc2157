//! Calls with bytes of any kind in place of a message.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::Frame;
use moiety_rpc::wire;
use prost::bytes::{Buf, BufMut};
use tonic::{
    Request, Status,
    body::Body,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{
        Body as HttpBody, Service,
        http::{self, uri::PathAndQuery},
    },
    transport::Channel,
};

/// Sends `body` to a method such as `/moiety.v1.Search/Query` and gives the bytes of the answer.
pub async fn call(url: &str, method: &'static str, body: Vec<u8>) -> Result<Vec<u8>, Status> {
    let channel = Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(method);
    grpc.unary(Request::new(body), path, Bytes).await.map(tonic::Response::into_inner)
}

/// Calls a unary method and reads nothing of the answer.
pub async fn begin(
    url: &str,
    method: &'static str,
    request: impl prost::Message,
) -> tonic::Streaming<Vec<u8>> {
    let channel = Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(method);
    let request = Request::new(request.encode_to_vec());
    grpc.server_streaming(request, path, Bytes).await.unwrap().into_inner()
}

/// Says that a message of so many bytes comes, and sends none of them until it is aborted.
pub async fn stall(url: &str, method: &str, bytes: u32) -> tokio::task::JoinHandle<()> {
    let mut channel = Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
    let prefix = [&[0], bytes.to_be_bytes().as_slice()].concat();
    let request = http::Request::post(format!("{url}{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Beginning(Some(prefix))))
        .unwrap();
    tokio::spawn(async move {
        poll_fn(|context| channel.poll_ready(context)).await.unwrap();
        let _ = channel.call(request).await;
    })
}

/// A body that gives its beginning and then nothing.
struct Beginning(Option<Vec<u8>>);

impl HttpBody for Beginning {
    type Data = prost::bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes.into())))),
            None => Poll::Pending,
        }
    }
}

/// Messages of an import, in order, as they are.
pub async fn import(
    url: &str,
    messages: Vec<wire::ImportRequest>,
) -> Vec<Result<wire::ImportResponse, Status>> {
    let mut client = wire::records_client::RecordsClient::connect(url.to_owned()).await.unwrap();
    let stream = tokio_stream::iter(messages);
    let mut answers = match client.import(stream).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return vec![Err(status)],
    };
    let mut seen = Vec::new();
    loop {
        match answers.message().await {
            Ok(Some(answer)) => seen.push(Ok(answer)),
            Ok(None) => return seen,
            Err(status) => {
                seen.push(Err(status));
                return seen;
            }
        }
    }
}

/// Bytes as they are.
#[derive(Clone, Copy)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
