//! Health, reflection, limits under load, shutdown, and imports across broken connections.

#![allow(clippy::unwrap_used)]

mod served;

use std::{sync::Arc, time::Duration};

use moiety_encoder::HashingEncoder;
use moiety_rpc::{Client, ClientError, Drained, ImportOptions, ServerOptions, wire};
use served::{
    DIMENSION, Gate, GatedEncoder, asks_text, create, note, refusal, serve, serve_at, serve_demo,
    serve_with,
};
use tokio::net::{TcpListener, TcpStream};
use tonic::{Code, Request, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

async fn channel(url: String) -> Channel {
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

async fn gated(options: ServerOptions) -> (served::Served, Gate) {
    let gate = Gate::default();
    let served = serve_with(Arc::new(GatedEncoder::new(gate.clone())), options).await;
    create(&served.client, "demo").await;
    served.client.upsert("demo", vec![note("a", "a text")]).await.unwrap();
    (served, gate)
}

#[tokio::test]
async fn health_is_serving_and_watchers_see_the_shutdown() {
    let mut served = serve().await;
    let mut health = HealthClient::new(channel(served.url()).await);
    for service in
        ["", "moiety.v1.Search", "moiety.v1.Records", "moiety.v1.Collections", "moiety.v1.Encoder"]
    {
        let request = HealthCheckRequest { service: service.into() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service}");
    }
    let request = HealthCheckRequest { service: "moiety.v1.Nothing".into() };
    assert_eq!(health.check(request).await.unwrap_err().code(), Code::NotFound);

    let request = HealthCheckRequest { service: String::new() };
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    served.begin_stop();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(watch.message().await.unwrap(), None, "the watch ends");
    assert_eq!(served.ended().await, Drained::Finished);
}

#[tokio::test]
async fn reflection_lists_services_and_describes_them_in_both_versions() {
    use tonic_reflection::pb::{v1, v1alpha};
    let served = serve().await;
    let channel = channel(served.url()).await;

    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let file = v1::server_reflection_request::MessageRequest::FileContainingSymbol(
        "moiety.v1.Search.Query".into(),
    );
    let requests = [list, file].map(|message| v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    });
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers =
        client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let first = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(listed) = first
    else {
        panic!("not a list: {first:?}")
    };
    let names: Vec<_> = listed.service.iter().map(|service| service.name.as_str()).collect();
    for name in [
        "moiety.v1.Collections",
        "moiety.v1.Records",
        "moiety.v1.Search",
        "moiety.v1.Encoder",
        "grpc.health.v1.Health",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let second = answers.message().await.unwrap().unwrap().message_response.unwrap();
    assert!(matches!(
        second,
        v1::server_reflection_response::MessageResponse::FileDescriptorResponse(_)
    ));

    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap();
    let first = answers.into_inner().message().await.unwrap().unwrap().message_response;
    assert!(matches!(
        first,
        Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(_))
    ));
}

#[tokio::test]
async fn full_server_refuses_at_once_and_says_when_to_try_again() {
    let options = ServerOptions { max_in_flight: 1, ..Default::default() };
    let (served, gate) = gated(options).await;
    let client = served.client.clone();
    let slow = tokio::spawn(async move { client.query(asks_text("wait")).await });
    gate.someone_waits().await;
    match served.client.query(asks_text("a dye")).await {
        Err(ClientError::Refused { code, message, retry_after, .. }) => {
            assert_eq!(code, Code::ResourceExhausted, "{message}");
            assert!(retry_after.is_some());
        }
        other => panic!("not refused: {other:?}"),
    }
    gate.open();
    assert_eq!(slow.await.unwrap().unwrap().hits.len(), 1);
    assert_eq!(served.client.query(asks_text("a dye")).await.unwrap().hits.len(), 1);
}

#[tokio::test]
async fn deadline_of_the_client_is_kept() {
    let (served, gate) = gated(ServerOptions::default()).await;
    let mut client = wire::search_client::SearchClient::new(channel(served.url()).await);
    let mut request = Request::new(asks_text("wait"));
    request.set_timeout(Duration::from_millis(1500));
    let status = client.query(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    gate.open();
    assert_eq!(served.client.query(asks_text("a dye")).await.unwrap().hits.len(), 1);
}

/// Each of their chunks comes to the gate.
const CHUNKS: usize = 10;

#[tokio::test]
async fn work_for_a_client_that_has_gone_ends_and_its_place_is_free() {
    for importing in [false, true] {
        let (served, gate) = gated(ServerOptions { max_in_flight: 1, ..Default::default() }).await;
        let client = served.client.clone();
        let call = tokio::spawn(async move {
            if importing {
                let records = (0..128 * CHUNKS).map(|n| note(&format!("r{n}"), "wait")).collect();
                let mut session = client.import("demo", patient()).await.unwrap();
                session.send(1, records).await.unwrap();
                session.finish().await.unwrap();
            } else {
                let texts = vec!["wait".into(); 64 * CHUNKS];
                let request = wire::EncodeTextsRequest { texts, ..Default::default() };
                client.encode_texts(request).await.unwrap();
            }
        });
        gate.someone_waits().await;
        call.abort();
        while served.client.query(asks_text("a dye")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(300)).await;
            gate.let_one();
        }
        assert!(gate.came() < CHUNKS, "importing {importing}: all {CHUNKS} chunks were encoded");
        assert_eq!(served.client.count("demo", None).await.unwrap().count, 1);
    }
}

#[tokio::test]
async fn panic_in_a_call_is_an_internal_error_and_the_server_lives() {
    let (served, _gate) = gated(ServerOptions::default()).await;
    let (code, message) = refusal(served.client.query(asks_text("panic")).await);
    assert_eq!(code, Code::Internal, "{message}");
    assert_eq!(served.client.query(asks_text("a dye")).await.unwrap().hits.len(), 1);
    let write = served.client.upsert("demo", vec![note("b", "another text")]).await.unwrap();
    assert_eq!(write.created, 1);
}

#[tokio::test]
async fn shutdown_finishes_the_call_at_work_and_takes_no_other() {
    let (mut served, gate) = gated(ServerOptions::default()).await;
    let (client, url) = (served.client.clone(), served.url());
    let slow = tokio::spawn(async move { client.upsert("demo", vec![note("b", "wait")]).await });
    gate.someone_waits().await;
    served.begin_stop();
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matches!(Client::connect(&url).await, Err(ClientError::Connect { .. })));
    gate.open();
    assert_eq!(slow.await.unwrap().unwrap().created, 1);
    assert_eq!(served.ended().await, Drained::Finished);
}

#[tokio::test]
async fn shutdown_cuts_what_outlasts_the_drain_timeout() {
    let options = ServerOptions { drain_timeout: Duration::from_millis(100), ..Default::default() };
    let (mut served, gate) = gated(options).await;
    let client = served.client.clone();
    let slow = tokio::spawn(async move { client.query(asks_text("wait")).await });
    gate.someone_waits().await;
    served.begin_stop();
    assert_eq!(served.ended().await, Drained::Cut);
    gate.open();
    // Whether its answer still gets out is not promised.
    let _ = slow.await.unwrap();
}

fn chunk(number: u64) -> Vec<wire::Record> {
    (0..5).map(|i| note(&format!("r{number:02}-{i}"), "a text")).collect()
}

fn patient() -> ImportOptions {
    ImportOptions { window: 3, max_attempts: 30, first_pause: Duration::from_millis(20) }
}

#[tokio::test]
async fn import_resumes_after_a_restart_and_loses_nothing_acknowledged() {
    let served = serve().await;
    let (address, client) = (served.address, served.client.clone());
    create(&client, "demo").await;
    let mut session = client.import("demo", patient()).await.unwrap();
    let mut acknowledged = Vec::new();
    for number in 1..=6 {
        acknowledged.extend(session.send(number, chunk(number)).await.unwrap());
    }
    let dir = served.stopped().await.unwrap();
    let encoder = Arc::new(HashingEncoder::new(DIMENSION));
    let again = serve_at(address, dir.path(), encoder, ServerOptions::default()).await;
    for number in 7..=12 {
        acknowledged.extend(session.send(number, chunk(number)).await.unwrap());
    }
    acknowledged.extend(session.finish().await.unwrap());
    assert_eq!(acknowledged.last().unwrap().durable_sequence, 12);
    assert_eq!(again.client.count("demo", None).await.unwrap().count, 60);
}

#[tokio::test]
async fn a_client_learns_why_nobody_answers() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Client::connect(&format!("http://{free}")).await.unwrap_err().to_string();
    assert!(error.contains(&free.to_string()) && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn import_resumes_after_a_cut_connection() {
    let served = serve().await;
    create(&served.client, "demo").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let target = served.address;
    let (cut, _) = tokio::sync::broadcast::channel::<()>(1);
    let cutter = cut.clone();
    tokio::spawn(async move {
        while let Ok((mut inbound, _)) = listener.accept().await {
            let mut cut = cutter.subscribe();
            tokio::spawn(async move {
                let mut outbound = TcpStream::connect(target).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut inbound, &mut outbound) => {}
                    _ = cut.recv() => {}
                }
            });
        }
    });
    let client = Client::connect(&format!("http://{proxy}")).await.unwrap();
    let mut session = client.import("demo", patient()).await.unwrap();
    for number in 1..=20 {
        session.send(number, chunk(number)).await.unwrap();
        if number % 7 == 0 {
            cut.send(()).unwrap();
        }
    }
    session.finish().await.unwrap();
    assert_eq!(served.client.count("demo", None).await.unwrap().count, 100);
}

#[tokio::test]
async fn import_that_is_refused_is_not_tried_again() {
    let served = serve_demo().await;
    let mut session = served.client.import("nowhere", patient()).await.unwrap();
    session.send(5, vec![note("a", "b")]).await.unwrap();
    let (code, message) = refusal(session.finish().await);
    assert_eq!(code, Code::NotFound, "{message}");

    let mut session = served.client.import("demo", patient()).await.unwrap();
    session.send(5, vec![note("a", "b")]).await.unwrap();
    let again = session.send(5, vec![note("a", "b")]).await.unwrap_err();
    assert!(matches!(again, ClientError::SequenceOrder { last: 5, found: 5 }), "{again}");
}

#[tokio::test]
async fn open_imports_end_with_unavailable_at_shutdown() {
    let start = wire::ImportStart { collection: "demo".into() };
    let start = wire::ImportRequest { message: Some(wire::import_request::Message::Start(start)) };
    for messages in [vec![], vec![start]] {
        let mut served = serve_demo().await;
        let mut client = wire::records_client::RecordsClient::new(channel(served.url()).await);
        let (requests, receiver) = tokio::sync::mpsc::channel(2);
        for message in messages {
            requests.send(message).await.unwrap();
        }
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut answers = client.import(stream).await.unwrap().into_inner();
        served.begin_stop();
        let status = answers.message().await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert_eq!(served.ended().await, Drained::Finished);
    }
}

#[tokio::test]
async fn an_import_ends_at_shutdown_without_encoding_the_rest_of_its_chunk() {
    let (mut served, gate) = gated(ServerOptions::default()).await;
    let options = ImportOptions { max_attempts: 1, ..ImportOptions::default() };
    let client = served.client.clone();
    let call = tokio::spawn(async move {
        let records = (0..512).map(|n| note(&format!("r{n}"), "wait")).collect();
        let mut session = client.import("demo", options).await?;
        session.send(1, records).await?;
        session.finish().await
    });
    gate.someone_waits().await;
    served.begin_stop();
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gate.open();
    assert_eq!(served.ended().await, Drained::Finished);
    assert!(call.await.unwrap().is_err(), "what was not encoded is not acknowledged");
    assert_eq!(gate.came(), 1, "records are encoded some at a time, and no more after the signal");
}

#[tokio::test]
async fn encryption_is_refused_where_there_is_none() {
    let error = moiety_rpc::Client::connect("https://127.0.0.1:1").await.expect_err("no TLS");
    assert!(error.to_string().contains("not encrypted"), "{error}");
}
