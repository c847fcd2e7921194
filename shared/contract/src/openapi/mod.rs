//! The OpenAPI document (3.1): what utoipa derives from the types that the routes use, with what types cannot say.
//!
//! It is written to `openapi.json` by `cargo xtask openapi`; no component holds any of this.

#![allow(clippy::indexing_slicing, reason = "JSON objects that are made here get fields; a test makes them all")]

mod example;
mod header;
mod operation;
mod problem;
mod register_file;
mod sample;
pub mod value;
mod webhook;

use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use problem::Problems;
use sample::Sample;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "moc-uploads",
        description = include_str!("description.md"),
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "The host that serves this document.")),
    tags(
        (name = "sessions", description = "One user's upload of one MOC."),
        (name = "files", description = "One object in the bucket each, made by one S3 multipart upload."),
        (name = "parts", description = "What a file is sent in. All parts but the last have exactly `partSizeBytes`."),
        (name = "mocs", description = "What finalize makes of a session."),
        (name = "progress", description = "Watching a session."),
        (name = "service", description = "The service itself."),
    ),
    paths(
        operation::create_session,
        operation::get_session,
        operation::cancel_session,
        operation::register_file,
        operation::remove_file,
        operation::complete_file,
        operation::put_part,
        operation::upload_batch,
        operation::get_part_urls,
        operation::record_parts,
        operation::list_parts,
        operation::finalize,
        operation::finalize_session,
        operation::get_moc,
        operation::watch_session,
        operation::open_web_socket,
        operation::watch_session_by_other_path,
        operation::open_web_socket_by_other_path,
        operation::check_health,
    ),
    components(schemas(
        crate::server_sent::WatchedFile,
        crate::server_sent::WatchedSession,
        crate::body::FileBody,
        crate::body::PartBody,
        crate::direct::DirectPartBody,
        crate::direct::FileProgress,
        crate::direct::PartUrl,
        crate::response::FileState,
        crate::response::MocFileResponse<'_>,
        crate::response::PartListed,
        crate::response::PresignedUrl,
        crate::webhook::Payload<'_>,
        register_file::Long,
        register_file::Short,
        value::Category,
        value::ETag,
        value::FileName,
        value::Id,
        value::MediaType,
        value::PartNumber,
        value::RequestId,
        value::SessionStatus,
        value::Time,
    )),
    security(("bearer" = [])),
)]
struct Derived;

/// The document, as it stands in `openapi.json`.
#[must_use]
pub fn document() -> String {
    let mut document = json!(Derived::openapi());
    let problems = Problems::new();
    if let Some(sample) = Sample::new() {
        each_operation(&mut document, |path, operation| complete(path, operation, &problems, &sample));
        document["webhooks"] = json!({ "moc.finalized": webhook::moc_finalized(&sample) });
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(problems.schemas());
    }
    let components = &mut document["components"];
    components["examples"] = problems.examples().into();
    components["headers"] = header::components().into();
    components["parameters"] = header::parameters().into();
    components["responses"] = problems.general_responses().into();
    components["securitySchemes"] = json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token that the server is configured to verify, with `exp` and a user, usually in `sub`. \
                            Resources of other users do not exist.",
        },
    });
    unwrap_one_of(&mut document);
    format!("{document:#}\n")
}

/// utoipa puts an inline schema with a description into a `oneOf` of one, or of `null` and itself.
fn unwrap_one_of(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unwrap_one_of),
        Value::Object(properties) => {
            properties.values_mut().for_each(unwrap_one_of);
            let Some(Value::Array(kinds)) = properties.get("oneOf") else { return };
            let null = json!({ "type": "null" });
            let (nulls, others): (Vec<_>, Vec<_>) = kinds.iter().partition(|kind| **kind == null);
            let [Value::Object(only)] = &others[..] else { return };
            let mut only = only.clone();
            if let (false, Some(kind)) = (nulls.is_empty(), only.get("type").cloned()) {
                only.insert("type".into(), json!([kind, "null"]));
            } else if !nulls.is_empty() {
                return;
            }
            properties.remove("oneOf");
            only.into_iter().for_each(|(name, schema)| {
                properties.entry(name).or_insert(schema);
            });
        }
        _ => {}
    }
}

fn each_operation(document: &mut Value, mut act: impl FnMut(&str, &mut Map<String, Value>)) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, item) in paths {
        let operations = item.as_object_mut().into_iter().flatten().map(|(_, operation)| operation);
        operations.filter_map(Value::as_object_mut).for_each(|operation| act(path, operation));
    }
}

/// Adds to an operation its parameters, headers, examples and problems.
fn complete(path: &str, operation: &mut Map<String, Value>, problems: &Problems, sample: &Sample) {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let parameters = header::of_request(&id, path).into_iter().map(|name| reference("parameters", &name)).collect();
    operation.insert("parameters".into(), Value::Array(parameters));
    for content in contents(operation.get_mut("requestBody")) {
        content["examples"] = example::requests(&id).into();
        match id.as_str() {
            "putPart" => content["schema"] = value::part(),
            "uploadBatch" => content["schema"] = value::batch(),
            "openWebSocket" | "openWebSocketByOtherPath" => content["schema"] = value::websocket_events(),
            // The body may be absent, which is not the same as `null`.
            "completeFile" => content["schema"] = reference("schemas", "CompleteFile"),
            _ => {}
        }
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, response) in responses.iter_mut() {
        let mut headers = header::of_every_response();
        let own = response["headers"].as_object().into_iter().flatten();
        headers.extend(own.map(|(name, _)| (name.clone(), header::of_success(&id, name))));
        response["headers"] = headers.into();
        for content in contents(Some(response)) {
            content["examples"] = example::responses(&id, status, sample).into();
            if id.starts_with("openWebSocket") {
                content["schema"] = value::websocket_events();
            } else if id.starts_with("watchSession") {
                content["schema"] = value::server_sent_events();
            }
        }
    }
    responses.extend(problems.responses(&id));
}

/// What a body may be, of each media type.
fn contents(body: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    let contents = body.and_then(|body| body.get_mut("content")).and_then(Value::as_object_mut);
    contents.into_iter().flatten().map(|(_, content)| content)
}

/// A reference to a component.
fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// The fields of an object.
fn properties_of(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}
