//! A typed client of a Moiety server: one method a call, errors with codes and fields, imports that resume.
//!
//! Messages are those of the wire ([`crate::wire`]); [`crate::convert`] turns payloads to and from JSON. It adds no
//! retries of its own but in imports.

mod admin;
mod error;
mod import;

use std::time::Duration;

use moiety_proto::v1::{
    self as wire, admin_client::AdminClient, collections_client::CollectionsClient,
    encoder_client::EncoderClient, records_client::RecordsClient, search_client::SearchClient,
};
use prost::Message;
use tonic::transport::{Channel, Endpoint};

pub use admin::SnapshotDownload;
pub use error::{ClientError, FieldViolation};
pub use import::{ImportOptions, ImportSession};

use crate::limits::{MAX_MESSAGE_BYTES, MAX_RESPONSE_BYTES};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a server; cheap to clone, and clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
    admin: AdminClient<Channel>,
    collections: CollectionsClient<Channel>,
    records: RecordsClient<Channel>,
    search: SearchClient<Channel>,
    encoder: EncoderClient<Channel>,
}

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// Connects to a server, as in `http://127.0.0.1:7400`; the scheme may be left out.
    pub async fn connect(address: &str) -> Result<Self> {
        let address = match address.split_once("://") {
            Some(("http", _)) => address.to_owned(),
            Some((scheme, _)) => return Err(ClientError::Scheme { scheme: scheme.to_owned() }),
            None => format!("http://{address}"),
        };
        let endpoint = Endpoint::from_shared(address.clone())
            .map_err(|source| ClientError::Address { address: address.clone(), source })?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true);
        let channel = endpoint
            .connect()
            .await
            .map_err(|source| ClientError::Connect { address: address.clone(), source })?;
        Ok(Self::over(channel, address))
    }

    /// A client over a channel that exists.
    pub fn over(channel: Channel, address: String) -> Self {
        Self {
            address,
            admin: AdminClient::new(channel.clone()).max_decoding_message_size(MAX_RESPONSE_BYTES),
            collections: CollectionsClient::new(channel.clone())
                .max_decoding_message_size(MAX_RESPONSE_BYTES),
            records: RecordsClient::new(channel.clone())
                .max_decoding_message_size(MAX_RESPONSE_BYTES),
            search: SearchClient::new(channel.clone())
                .max_decoding_message_size(MAX_RESPONSE_BYTES),
            encoder: EncoderClient::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES),
        }
    }

    /// Where it is connected to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Largest message that a server of this version takes, in bytes: keep batches below it.
    pub const fn max_message_bytes() -> usize {
        MAX_MESSAGE_BYTES
    }

    /// What a record takes of a message, in bytes.
    pub fn message_bytes(record: &wire::Record) -> usize {
        // One byte for the tag and up to ten for the length.
        record.encoded_len() + 11
    }

    /// Makes a collection.
    pub async fn create_collection(
        &self,
        config: wire::CollectionConfig,
    ) -> Result<wire::CreateCollectionResponse> {
        let request = wire::CreateCollectionRequest { config: Some(config) };
        Ok(self.collections.clone().create(request).await?.into_inner())
    }

    /// One collection.
    pub async fn collection(&self, name: &str) -> Result<wire::GetCollectionResponse> {
        let request = wire::GetCollectionRequest { name: name.into() };
        Ok(self.collections.clone().get(request).await?.into_inner())
    }

    /// All collections.
    pub async fn list_collections(&self) -> Result<wire::ListCollectionsResponse> {
        Ok(self.collections.clone().list(wire::ListCollectionsRequest {}).await?.into_inner())
    }

    /// Drops a collection with everything in it.
    pub async fn drop_collection(&self, name: &str) -> Result<wire::DropCollectionResponse> {
        let request = wire::DropCollectionRequest { name: name.into() };
        Ok(self.collections.clone().drop(request).await?.into_inner())
    }

    /// Counts and sizes of a collection.
    pub async fn stats(&self, name: &str) -> Result<wire::CollectionStatsResponse> {
        let request = wire::CollectionStatsRequest { name: name.into() };
        Ok(self.collections.clone().stats(request).await?.into_inner())
    }

    /// Makes an index of a field; answers when filters use it.
    pub async fn create_index(
        &self,
        collection: &str,
        field: &str,
        field_type: wire::FieldType,
    ) -> Result<wire::CreateIndexResponse> {
        let index = wire::FieldIndex { field: field.into(), r#type: field_type.into() };
        let request =
            wire::CreateIndexRequest { collection: collection.into(), index: Some(index) };
        Ok(self.collections.clone().create_index(request).await?.into_inner())
    }

    /// Drops the index of a field.
    pub async fn drop_index(
        &self,
        collection: &str,
        field: &str,
    ) -> Result<wire::DropIndexResponse> {
        let request = wire::DropIndexRequest { collection: collection.into(), field: field.into() };
        Ok(self.collections.clone().drop_index(request).await?.into_inner())
    }

    /// The indexes of a collection.
    pub async fn list_indexes(&self, collection: &str) -> Result<wire::ListIndexesResponse> {
        let request = wire::ListIndexesRequest { collection: collection.into() };
        Ok(self.collections.clone().list_indexes(request).await?.into_inner())
    }

    /// A filter from its text, which the server reads: `mw < 300 and tags in ["drug"]`.
    pub fn filter(expression: impl Into<String>) -> wire::Filter {
        wire::Filter { node: Some(wire::filter::Node::Expression(expression.into())) }
    }

    /// Writes records durably; bad ones are in `errors`.
    pub async fn upsert(
        &self,
        collection: &str,
        records: Vec<wire::Record>,
    ) -> Result<wire::UpsertResponse> {
        let request = wire::UpsertRequest { collection: collection.into(), records };
        Ok(self.records.clone().upsert(request).await?.into_inner())
    }

    /// Opens an import into a collection.
    pub async fn import(&self, collection: &str, options: ImportOptions) -> Result<ImportSession> {
        ImportSession::open(self.records.clone(), collection, options).await
    }

    /// Reads records by id.
    pub async fn get(
        &self,
        collection: &str,
        ids: Vec<String>,
    ) -> Result<wire::GetRecordsResponse> {
        let request = wire::GetRecordsRequest { collection: collection.into(), ids };
        Ok(self.records.clone().get(request).await?.into_inner())
    }

    /// Deletes records by id.
    pub async fn delete(&self, collection: &str, ids: Vec<String>) -> Result<wire::DeleteResponse> {
        let request = wire::DeleteRequest { collection: collection.into(), ids };
        Ok(self.records.clone().delete(request).await?.into_inner())
    }

    /// Reads a page of records.
    pub async fn scroll(&self, request: wire::ScrollRequest) -> Result<wire::ScrollResponse> {
        Ok(self.records.clone().scroll(request).await?.into_inner())
    }

    /// Counts records.
    pub async fn count(
        &self,
        collection: &str,
        filter: Option<wire::Filter>,
    ) -> Result<wire::CountResponse> {
        let request = wire::CountRequest { collection: collection.into(), filter };
        Ok(self.records.clone().count(request).await?.into_inner())
    }

    /// Searches.
    pub async fn query(&self, request: wire::QueryRequest) -> Result<wire::QueryResponse> {
        Ok(self.search.clone().query(request).await?.into_inner())
    }

    /// Explains a score.
    pub async fn explain(&self, request: wire::ExplainRequest) -> Result<wire::ExplainResponse> {
        Ok(self.search.clone().explain(request).await?.into_inner())
    }

    /// Encodes molecules.
    pub async fn encode_molecules(
        &self,
        request: wire::EncodeMoleculesRequest,
    ) -> Result<wire::EncodeResponse> {
        Ok(self.encoder.clone().encode_molecules(request).await?.into_inner())
    }

    /// Encodes texts.
    pub async fn encode_texts(
        &self,
        request: wire::EncodeTextsRequest,
    ) -> Result<wire::EncodeResponse> {
        Ok(self.encoder.clone().encode_texts(request).await?.into_inner())
    }

    /// Predicts properties of molecules with the named heads, or with all.
    pub async fn predict(
        &self,
        molecules: Vec<wire::Structure>,
        heads: Vec<String>,
    ) -> Result<wire::PredictResponse> {
        let request = wire::PredictRequest { molecules, heads };
        Ok(self.encoder.clone().predict(request).await?.into_inner())
    }

    /// Captions of molecules, where the server's model writes.
    pub async fn caption(&self, request: wire::CaptionRequest) -> Result<wire::CaptionResponse> {
        Ok(self.encoder.clone().caption(request).await?.into_inner())
    }

    /// Molecules for texts, where the server's model writes.
    pub async fn generate(&self, request: wire::GenerateRequest) -> Result<wire::GenerateResponse> {
        Ok(self.encoder.clone().generate(request).await?.into_inner())
    }

    /// The server's model and limits.
    pub async fn info(&self) -> Result<wire::InfoResponse> {
        Ok(self.encoder.clone().info(wire::InfoRequest {}).await?.into_inner())
    }
}
