//! Compressed requests: they are taken, bounded by what they unpack to, and refused with a reason where they are broken.

#![allow(clippy::unwrap_used)]

mod served;

use moiety_rpc::{limits::MAX_MESSAGE_BYTES, wire};
use served::{asks_text, note, serve_demo};
use tonic::{Code, codec::CompressionEncoding, transport::Channel};
use wire::{records_client::RecordsClient, search_client::SearchClient};

const ENCODINGS: [CompressionEncoding; 2] = [CompressionEncoding::Gzip, CompressionEncoding::Zstd];

async fn channel(url: String) -> Channel {
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn compressed_requests_get_the_answers_of_plain_ones() {
    let served = serve_demo().await;
    let plain = served.client.query(asks_text("a blue dye")).await.unwrap();
    for encoding in ENCODINGS {
        let mut client = SearchClient::new(channel(served.url()).await).send_compressed(encoding);
        let answer = client.query(asks_text("a blue dye")).await.unwrap();
        assert_eq!(answer.metadata().get("grpc-encoding"), None, "answers go out plain");
        assert_eq!(answer.into_inner().hits, plain.hits, "{encoding}");
    }
}

#[tokio::test]
async fn a_small_message_that_unpacks_beyond_the_limit_is_refused() {
    let served = serve_demo().await;
    let bomb = wire::UpsertRequest {
        collection: "demo".into(),
        records: vec![note("bomb", &"a".repeat(MAX_MESSAGE_BYTES + 1))],
    };
    for encoding in ENCODINGS {
        let mut client = RecordsClient::new(channel(served.url()).await).send_compressed(encoding);
        let status = client.upsert(bomb.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert!(status.message().contains("when it is unpacked"), "{status}");
    }
    assert_eq!(served.client.count("demo", None).await.unwrap().count, 3);
}
