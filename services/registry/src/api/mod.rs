//! Confluent's REST contract: [`subjects`], [`schemas`], [`compatibility`], [`settings`]
//! (configuration and mode), [`about`] and what every service has ([`health`]). [`wire`] is how
//! requests and answers look, [`request`] how a schema is sent.

pub mod about;
pub mod compatibility;
pub mod health;
pub mod request;
pub mod schemas;
pub mod settings;
pub mod subjects;
pub mod wire;

use axum::Router;
use axum::middleware::from_fn;
use utoipa::PartialSchema;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Error, ErrorBody};
use crate::store::Store;

/// Bodies above this are answered with 413.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// The whole HTTP surface.
pub fn router(store: Store) -> Router {
    let (router, openapi) = routes().split_for_parts();
    let router = router
        .route(
            "/api/v1/openapi.json",
            axum::routing::get(move || async { axum::Json(openapi) }),
        )
        .with_state(store)
        .method_not_allowed_fallback(|| async { Error::NoMethod })
        .layer(from_fn(wire::dress));
    chassis::http::standard_with_limit(router, "registry", BODY_LIMIT)
        .fallback(|| async { Error::NoRoute })
}

/// The OpenAPI 3.1 document, from the handlers themselves.
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<Store> {
    let info = InfoBuilder::new()
        .title("EDA-Lab registry")
        .version("1.0.0")
        .description(Some(
            "Confluent's Schema Registry contract for Avro, over PostgreSQL.",
        ));
    // What every error is, which the routes only refer to.
    let components = ComponentsBuilder::new().schema("ErrorBody", ErrorBody::schema());
    let document = OpenApiBuilder::new()
        .info(info)
        .components(Some(components.build()));
    OpenApiRouter::with_openapi(document.build())
        .routes(routes!(health::root, health::post_root))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(subjects::list))
        .routes(routes!(subjects::lookup, subjects::delete))
        .routes(routes!(subjects::versions, subjects::register))
        .routes(routes!(subjects::one_version, subjects::delete_version))
        .routes(routes!(subjects::version_text))
        .routes(routes!(subjects::referenced_by))
        .routes(routes!(schemas::list))
        .routes(routes!(schemas::types))
        .routes(routes!(schemas::by_id))
        .routes(routes!(schemas::text))
        .routes(routes!(schemas::subjects))
        .routes(routes!(schemas::versions))
        .routes(routes!(about::contexts))
        .routes(routes!(about::cluster))
        .routes(routes!(about::server_version))
        .routes(routes!(compatibility::with_version))
        .routes(routes!(compatibility::with_subject))
        .routes(routes!(
            settings::config,
            settings::set_config,
            settings::delete_config
        ))
        .routes(routes!(
            settings::subject_config,
            settings::set_subject_config,
            settings::delete_subject_config
        ))
        .routes(routes!(settings::mode, settings::put_mode))
        .routes(routes!(
            settings::subject_mode,
            settings::put_subject_mode,
            settings::delete_subject_mode
        ))
}

#[cfg(test)]
mod tests;
