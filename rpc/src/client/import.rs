//! An import that survives a broken stream: chunks are kept until they are acknowledged and sent again if need be.

use std::{collections::VecDeque, time::Duration};

use moiety_proto::v1::{self as wire, import_request::Message, records_client::RecordsClient};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

use super::ClientError;

/// How an import behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportOptions {
    /// Chunks sent ahead of their acknowledgements; at least one.
    pub window: usize,
    /// Attempts in a row without an acknowledgement before it gives up; at least one.
    pub max_attempts: u32,
    /// Pause before the second attempt; doubled for each further one, up to ten seconds.
    pub first_pause: Duration,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { window: 4, max_attempts: 8, first_pause: Duration::from_millis(200) }
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An open import. Send chunks, look at the acknowledgements, and finish.
///
/// Dropping it leaves the import where it is: what was acknowledged is durable.
#[derive(Debug)]
pub struct ImportSession {
    records: RecordsClient<Channel>,
    collection: String,
    options: ImportOptions,
    stream: Option<Stream>,
    pending: VecDeque<wire::ImportChunk>,
    /// How many of `pending` went out on the present stream.
    sent: usize,
    last_given: u64,
    last_durable: u64,
    failures: u32,
}

#[derive(Debug)]
struct Stream {
    requests: mpsc::Sender<wire::ImportRequest>,
    answers: Streaming<wire::ImportResponse>,
}

impl ImportSession {
    pub(super) async fn open(
        records: RecordsClient<Channel>,
        collection: &str,
        options: ImportOptions,
    ) -> Result<Self, ClientError> {
        let mut session = Self {
            records,
            collection: collection.into(),
            options,
            stream: None,
            pending: VecDeque::new(),
            sent: 0,
            last_given: 0,
            last_durable: 0,
            failures: 0,
        };
        session.connect().await?;
        Ok(session)
    }

    /// The last sequence number known to be durable.
    pub fn last_durable(&self) -> u64 {
        self.last_durable
    }

    /// Sends a chunk, waiting first for acknowledgements if too many are missing; gives those that came.
    ///
    /// Sequence numbers must grow from chunk to chunk.
    pub async fn send(
        &mut self,
        sequence: u64,
        records: Vec<wire::Record>,
    ) -> Result<Vec<wire::ImportResponse>, ClientError> {
        if sequence <= self.last_given {
            return Err(ClientError::SequenceOrder { last: self.last_given, found: sequence });
        }
        self.last_given = sequence;
        self.pending.push_back(wire::ImportChunk { sequence, records });
        self.advance(self.options.window.max(1) - 1).await
    }

    /// Waits for every acknowledgement and ends the import; gives those that came.
    pub async fn finish(mut self) -> Result<Vec<wire::ImportResponse>, ClientError> {
        self.advance(0).await
    }

    /// Sends what is pending until no more than `unacknowledged` chunks are.
    async fn advance(
        &mut self,
        unacknowledged: usize,
    ) -> Result<Vec<wire::ImportResponse>, ClientError> {
        let mut answers = Vec::new();
        loop {
            let step = self.step(unacknowledged, &mut answers).await;
            match step {
                Ok(()) => return Ok(answers),
                Err(error) => self.recover(error).await?,
            }
        }
    }

    async fn step(
        &mut self,
        unacknowledged: usize,
        answers: &mut Vec<wire::ImportResponse>,
    ) -> Result<(), ClientError> {
        self.connect().await?;
        self.send_pending().await?;
        while self.pending.len() > unacknowledged {
            let answer = self.next_answer().await?;
            self.acknowledge(answer.durable_sequence);
            answers.push(answer);
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        if self.stream.is_some() {
            return Ok(());
        }
        let (requests, receiver) = mpsc::channel(self.options.window.max(1) + 1);
        let start = wire::ImportStart { collection: self.collection.clone() };
        let opening = wire::ImportRequest { message: Some(Message::Start(start)) };
        requests.send(opening).await.map_err(|_| broken())?;
        let answers = self.records.import(ReceiverStream::new(receiver)).await?.into_inner();
        self.stream = Some(Stream { requests, answers });
        self.sent = 0;
        Ok(())
    }

    async fn send_pending(&mut self) -> Result<(), ClientError> {
        let Some(stream) = &self.stream else { return Err(broken()) };
        for chunk in self.pending.iter().skip(self.sent) {
            let request = wire::ImportRequest { message: Some(Message::Chunk(chunk.clone())) };
            // A closed stream has its reason among the answers, which come next.
            if stream.requests.send(request).await.is_err() {
                break;
            }
            self.sent += 1;
        }
        Ok(())
    }

    async fn next_answer(&mut self) -> Result<wire::ImportResponse, ClientError> {
        let stream = self.stream.as_mut().ok_or_else(broken)?;
        stream.answers.message().await?.ok_or_else(broken)
    }

    fn acknowledge(&mut self, durable: u64) {
        self.failures = 0;
        self.last_durable = self.last_durable.max(durable);
        while self.pending.front().is_some_and(|chunk| chunk.sequence <= durable) {
            self.pending.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// Forgets the stream and waits, or gives up.
    async fn recover(&mut self, error: ClientError) -> Result<(), ClientError> {
        self.stream = None;
        if !error.is_transient() {
            return Err(error);
        }
        self.failures += 1;
        if self.failures >= self.options.max_attempts {
            let (attempts, last_durable) = (self.failures, self.last_durable);
            return Err(ClientError::ImportBroken {
                attempts,
                last_durable,
                last: Box::new(error),
            });
        }
        let doubled = self.options.first_pause.saturating_mul(1 << (self.failures - 1).min(16));
        tokio::time::sleep(doubled.min(LONGEST_PAUSE)).await;
        Ok(())
    }
}

fn broken() -> ClientError {
    Status::unavailable("the import stream ended early").into()
}
