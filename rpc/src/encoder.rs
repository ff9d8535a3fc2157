//! The `Encoder` service.

use moiety_engine::{Encoding, Engine, Head, ItemEncodingError, Patience, Structure};
use moiety_proto::v1::{self as wire, encoder_server::Encoder};
use tonic::{Request, Response, Status};

use crate::{
    convert::{
        ConvertError, asked_detail, asked_dtype, check_count, encoding_to_wire, head_to_wire,
        structure_from_wire,
    },
    edge::{Clock, Edge},
    generate::{Desks, caption, generate},
    limits::{MAX_ENCODE, MAX_MESSAGE_BYTES},
    predict::predict,
    status::{engine_status, unconverted},
};

/// Answers `moiety.v1.Encoder`.
pub(crate) struct EncoderService {
    edge: Edge,
    desks: Desks,
}

impl EncoderService {
    pub(crate) fn new(edge: Edge, max_writing: usize) -> Self {
        Self { edge, desks: Desks::new(max_writing) }
    }
}

#[tonic::async_trait]
impl Encoder for EncoderService {
    async fn encode_molecules(
        &self,
        request: Request<wire::EncodeMoleculesRequest>,
    ) -> Result<Response<wire::EncodeResponse>, Status> {
        self.edge.answer_patiently(request, molecules).await
    }

    async fn encode_texts(
        &self,
        request: Request<wire::EncodeTextsRequest>,
    ) -> Result<Response<wire::EncodeResponse>, Status> {
        self.edge.answer_patiently(request, texts).await
    }

    async fn predict(
        &self,
        request: Request<wire::PredictRequest>,
    ) -> Result<Response<wire::PredictResponse>, Status> {
        self.edge.answer_patiently(request, predict).await
    }

    async fn caption(
        &self,
        request: Request<wire::CaptionRequest>,
    ) -> Result<Response<wire::CaptionResponse>, Status> {
        let desk = self.desks.take()?;
        let work = move |engine: &Engine, request, clock: &Clock, patience: &Patience| {
            let _desk = desk;
            caption(engine, request, clock, patience)
        };
        self.edge.answer_patiently(request, work).await
    }

    async fn generate(
        &self,
        request: Request<wire::GenerateRequest>,
    ) -> Result<Response<wire::GenerateResponse>, Status> {
        let desk = self.desks.take()?;
        let work = move |engine: &Engine, request, clock: &Clock, patience: &Patience| {
            let _desk = desk;
            generate(engine, request, clock, patience)
        };
        self.edge.answer_patiently(request, work).await
    }

    async fn info(
        &self,
        request: Request<wire::InfoRequest>,
    ) -> Result<Response<wire::InfoResponse>, Status> {
        self.edge.answer(request, info).await
    }
}

/// How encodings are sent back.
#[derive(Clone, Copy)]
struct Form {
    detail: wire::EncodingDetail,
    dtype: wire::DType,
}

impl Form {
    fn asked(detail: i32, dtype: i32) -> Result<Self, ConvertError> {
        Ok(Self { detail: asked_detail(detail, "detail")?, dtype: asked_dtype(dtype, "dtype")? })
    }
}

/// Structures of a request that the engine can take, and the errors of the others.
pub(crate) struct Taken {
    pub(crate) structures: Vec<Structure>,
    /// Positions in the request, one for each structure.
    pub(crate) positions: Vec<usize>,
    pub(crate) errors: Vec<wire::ItemError>,
}

impl Taken {
    pub(crate) fn new(molecules: Vec<wire::Structure>) -> Self {
        let mut taken = Self { structures: Vec::new(), positions: Vec::new(), errors: Vec::new() };
        for (position, molecule) in molecules.into_iter().enumerate() {
            match structure_from_wire(molecule, &format!("items[{position}].molecule")) {
                Ok(structure) => {
                    taken.structures.push(structure);
                    taken.positions.push(position);
                }
                Err(error) => taken.errors.push(unconverted(&error, "", position)),
            }
        }
        taken
    }
}

fn molecules(
    engine: &Engine,
    request: wire::EncodeMoleculesRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::EncodeResponse, Status> {
    let form = Form::asked(request.detail, request.dtype)?;
    check_count(request.molecules.len(), MAX_ENCODE, "molecules")?;
    let Taken { structures, positions, errors } = Taken::new(request.molecules);
    let encoded =
        engine.encode_molecules(&structures, patience).map_err(|error| engine_status(&error))?;
    let items = positions.into_iter().zip(encoded);
    let code = wire::ItemErrorCode::InvalidMolecule;
    Ok(wire::EncodeResponse {
        info: clock.info(engine, Vec::new()),
        ..sorted(items, errors, code, form)
    })
}

fn texts(
    engine: &Engine,
    request: wire::EncodeTextsRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::EncodeResponse, Status> {
    let form = Form::asked(request.detail, request.dtype)?;
    check_count(request.texts.len(), MAX_ENCODE, "texts")?;
    let encoded =
        engine.encode_texts(&request.texts, patience).map_err(|error| engine_status(&error))?;
    let code = wire::ItemErrorCode::InvalidText;
    let items = encoded.into_iter().enumerate();
    Ok(wire::EncodeResponse {
        info: clock.info(engine, Vec::new()),
        ..sorted(items, Vec::new(), code, form)
    })
}

/// Encodings and errors apart, each by position.
fn sorted(
    items: impl Iterator<Item = (usize, Result<Encoding, ItemEncodingError>)>,
    mut errors: Vec<wire::ItemError>,
    code: wire::ItemErrorCode,
    form: Form,
) -> wire::EncodeResponse {
    let mut encoded = Vec::new();
    for (position, item) in items {
        match item {
            Ok(encoding) => {
                let encoding = Some(encoding_to_wire(&encoding, form.detail, form.dtype));
                encoded.push(wire::EncodedItem { position: position as u32, encoding });
            }
            Err(error) => errors.push(item_error(position, &error, code)),
        }
    }
    errors.sort_by_key(|error| error.position);
    wire::EncodeResponse { items: encoded, errors, info: None }
}

/// An item that the engine could not read.
pub(crate) fn item_error(
    position: usize,
    error: &ItemEncodingError,
    code: wire::ItemErrorCode,
) -> wire::ItemError {
    let (position, reason) = (position as u32, error.to_string());
    wire::ItemError { position, id: String::new(), code: code.into(), reason }
}

fn info(
    engine: &Engine,
    _: wire::InfoRequest,
    clock: &Clock,
) -> Result<wire::InfoResponse, Status> {
    let model = engine.encoder().info();
    let generation = match engine.encoder().writer() {
        Some(_) => wire::GenerationSupport::Both,
        None => wire::GenerationSupport::None,
    };
    Ok(wire::InfoResponse {
        model_name: model.name.clone(),
        global_dimension: model.global_dim as u32,
        part_dimension: model.part_dim as u32,
        max_text_tokens: model.max_text_tokens as u32,
        max_atoms: model.max_atoms as u32,
        server_version: env!("CARGO_PKG_VERSION").into(),
        max_message_bytes: MAX_MESSAGE_BYTES as u64,
        heads: engine.heads().iter().map(Head::spec).map(head_to_wire).collect(),
        generation: generation.into(),
        info: clock.info(engine, Vec::new()),
    })
}
