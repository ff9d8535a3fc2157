//! The import stream: chunks in, one acknowledgement each out, in order.
//!
//! One chunk of a stream is at work at a time and no further message is read meanwhile, so HTTP/2 flow control holds a
//! fast client back and memory stays bounded. What is acknowledged is durable; a client resumes after the last
//! acknowledged sequence number.

use moiety_proto::v1::{self as wire, import_request::Message};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::{
    collections::named,
    convert::ConvertError,
    edge::{Clock, Edge},
    refusal,
    status::{engine_status, shutting_down},
    upsert::upsert,
};

type Answer = Result<wire::ImportResponse, Status>;

/// Acknowledgements that may wait for a client that does not read them.
const ACKNOWLEDGEMENTS_AHEAD: usize = 4;

/// Answers an import in the background.
pub(crate) fn start(
    edge: Edge,
    chunks: Streaming<wire::ImportRequest>,
) -> Result<ReceiverStream<Answer>, Status> {
    let place = edge.import()?;
    let (answers, receiver) = mpsc::channel(ACKNOWLEDGEMENTS_AHEAD);
    tokio::spawn(async move {
        let _place = place;
        if let Err(status) = import(edge, chunks, &answers).await {
            // A client that has gone needs no reason.
            let _ = answers.send(Err(status)).await;
        }
    });
    Ok(ReceiverStream::new(receiver))
}

async fn import(
    mut edge: Edge,
    mut chunks: Streaming<wire::ImportRequest>,
    answers: &mpsc::Sender<Answer>,
) -> Result<(), Status> {
    let first = next(&mut edge, &mut chunks).await?;
    let collection = opened(&edge, first).await?;
    let mut last_sequence = 0;
    while let Some(message) = next(&mut edge, &mut chunks).await? {
        let chunk = chunk_after(last_sequence, message)?;
        last_sequence = chunk.sequence;
        // A chunk whose client has gone is encoded no further; one that is being written is written.
        let acknowledgement = tokio::select! {
            biased;
            () = answers.closed() => break,
            written = write(&edge, collection.clone(), chunk) => written?,
        };
        if answers.send(Ok(acknowledgement)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The next message, unless the server shuts down before it comes.
async fn next(
    edge: &mut Edge,
    chunks: &mut Streaming<wire::ImportRequest>,
) -> Result<Option<wire::ImportRequest>, Status> {
    tokio::select! {
        biased;
        () = edge.drained() => Err(shutting_down()),
        message = chunks.message() => message.map_err(refusal::restate),
    }
}

/// The collection of the opening message, which must exist.
async fn opened(edge: &Edge, first: Option<wire::ImportRequest>) -> Result<String, Status> {
    let start = match first.and_then(|first| first.message) {
        Some(Message::Start(start)) => start,
        Some(Message::Chunk(_)) | None => {
            let remedy = "the first message of an import must be start, with the collection";
            return Err(ConvertError::Missing { field: "start".into(), remedy }.into());
        }
    };
    named(&start.collection, "start.collection")?;
    edge.wait_and_do(0, move |engine, _| {
        engine.collection(&start.collection).map_err(|error| engine_status(&error))?;
        Ok(start.collection)
    })
    .await
}

fn chunk_after(last: u64, request: wire::ImportRequest) -> Result<wire::ImportChunk, ConvertError> {
    let chunk = match request.message {
        Some(Message::Chunk(chunk)) => chunk,
        Some(Message::Start(_)) => {
            return Err(ConvertError::Conflict {
                field: "start".into(),
                reason: "the import is open already; send chunks, or open another stream".into(),
            });
        }
        None => {
            let remedy = "every message after the first must be a chunk";
            return Err(ConvertError::Missing { field: "chunk".into(), remedy });
        }
    };
    if chunk.sequence <= last {
        return Err(ConvertError::OutOfRange {
            field: "chunk.sequence".into(),
            found: chunk.sequence.to_string(),
            bounds: format!("more than {last}, the number before it"),
        });
    }
    Ok(chunk)
}

async fn write(edge: &Edge, collection: String, chunk: wire::ImportChunk) -> Answer {
    let clock = Clock::start();
    edge.wait_and_do(chunk.encoded_len(), move |engine, patience| {
        let written = upsert(engine, &collection, chunk.records, patience)?;
        Ok(wire::ImportResponse {
            durable_sequence: chunk.sequence,
            created: written.created,
            replaced: written.replaced,
            errors: written.errors,
            info: clock.info(engine, Vec::new()),
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(sequence: u64) -> wire::ImportRequest {
        let chunk = wire::ImportChunk { sequence, records: Vec::new() };
        wire::ImportRequest { message: Some(Message::Chunk(chunk)) }
    }

    #[test]
    fn sequence_numbers_must_grow() {
        assert_eq!(chunk_after(0, chunk(1)).unwrap().sequence, 1);
        assert_eq!(chunk_after(4, chunk(9)).unwrap().sequence, 9);
        for (last, next) in [(0, 0), (4, 4), (4, 3)] {
            assert_eq!(chunk_after(last, chunk(next)).unwrap_err().field(), "chunk.sequence");
        }
    }
}
