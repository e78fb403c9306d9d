//! The HTTP surface: [`simulations`] that run, single [`events`], and what every service has.

pub mod events;
pub mod simulations;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use chassis::http::{self, Json, Problem};
use serde::Serialize;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::guichet::Guichet;
use crate::health::{Health, Report, Status};
use crate::publish::Publisher;
use crate::scenario::{Scenario, Scenarios};
use crate::simulation::Manager;

/// What the handlers need.
#[derive(Clone)]
pub struct Api {
    pub publisher: Arc<Publisher>,
    pub manager: Arc<Manager<Publisher>>,
    pub guichet: Arc<Mutex<Guichet>>,
    pub scenarios: Arc<Scenarios>,
    pub health: Arc<Health>,
    /// Events per second that may be asked for.
    pub max_rate: f64,
}

/// The whole HTTP surface.
pub fn router(api: Api) -> Router {
    let (router, openapi) = api_routes().split_for_parts();
    let document = axum::routing::get(move || async { Json(openapi) });
    let router = router
        .route("/api/v1/openapi.json", document)
        .with_state(api);
    http::standard(router, crate::SERVICE)
}

/// The OpenAPI 3.1 document, from the handlers themselves.
pub fn openapi() -> OpenApi {
    api_routes().into_openapi()
}

fn api_routes() -> OpenApiRouter<Api> {
    let info = InfoBuilder::new()
        .title("EDA-Lab simulator")
        .version("1.0.0")
        .description(Some(
            "Makes the events of a small bank and publishes them to Kafka.",
        ));
    OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build())
        .routes(routes!(health))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(scenarios))
        .routes(routes!(simulations::start))
        .routes(routes!(simulations::change))
        .routes(routes!(simulations::stop))
        .routes(routes!(simulations::status))
        .routes(routes!(events::produce))
        .routes(routes!(events::poison))
        .routes(routes!(events::duplicate))
}

/// Health: `degraded` while something is away.
#[utoipa::path(get, path = "/api/v1/health", responses((status = 200, body = Report)))]
async fn health(State(api): State<Api>) -> Json<Report> {
    Json(api.health.report().await)
}

/// The process runs.
#[utoipa::path(get, path = "/health/live", responses((status = 200)))]
async fn live() -> StatusCode {
    StatusCode::OK
}

/// Events can be published.
#[utoipa::path(get, path = "/health/ready", responses(
    (status = 200),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
async fn ready(State(api): State<Api>) -> http::Result<StatusCode> {
    let report = api.health.report().await;
    match report.status {
        Status::Healthy => Ok(StatusCode::OK),
        Status::Degraded => Err(Problem::unavailable(report.reason.unwrap_or_default())),
    }
}

/// The scenarios, and what may be asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ScenarioList {
    scenarios: Vec<Scenario>,
    /// The most events per second.
    max_rate: f64,
}

/// The scenarios that a simulation can follow, by name.
#[utoipa::path(get, path = "/api/v1/scenarios", responses((status = 200, body = ScenarioList)))]
async fn scenarios(State(api): State<Api>) -> Json<ScenarioList> {
    Json(ScenarioList {
        scenarios: api.scenarios.iter().cloned().collect(),
        max_rate: api.max_rate,
    })
}

/// Nothing can be published before the registry knows the schemas.
fn check_ready(api: &Api) -> http::Result<()> {
    match api.publisher.ids() {
        Some(_) => Ok(()),
        None => Err(Problem::unavailable(
            "The schemas are not registered yet, because the schema registry does not answer; \
             try again.",
        )),
    }
}

#[cfg(test)]
mod tests;
