//! The HTTP surface: what the gateway answers itself, what it hands on, the WebSocket, and the page
//! at every other path. [`document`] describes it all.

mod document;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{any, get};
use chassis::dead_letters::Replayed;
use chassis::http::{self, Json, Path, Problem, Query};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::dead_letters::{DeadLetters, Page, PageQuery, Replay};
use crate::health::{self, Health};
use crate::kafka_view::records::{Record, Records};
use crate::kafka_view::{Cluster, KafkaView};
use crate::lab::{Action, Done, Lab, LabReport, LogLines, LogQuery};
use crate::metrics_api::{self, Metrics};
use crate::proxy::Proxy;
use crate::security::{self, Guard};
use crate::ui::Ui;
use crate::websocket::upgrade::Door;
use crate::websocket::{self, Hub};

/// What the handlers need.
pub struct Gateway {
    pub proxy: Arc<Proxy>,
    pub hub: Arc<Hub>,
    pub door: Door,
    pub health: Arc<Health>,
    pub metrics: Metrics,
    pub kafka: Arc<KafkaView>,
    pub records: Records,
    pub dead_letters: DeadLetters,
    pub lab: Lab,
    pub ui: Ui,
}

type App = State<Arc<Gateway>>;

/// The whole HTTP surface.
pub fn router(gateway: Gateway, security: &security::Settings) -> Router {
    let (router, mut openapi) = own_routes().split_for_parts();
    document::complete(&mut openapi);
    let document = get(move || async { Json(openapi) });
    let router = router
        .route("/api/v1/openapi.json", document)
        .route(websocket::PATH, get(open_websocket))
        .route("/api/v1/simulation", any(to_simulator))
        .route("/api/v1/simulation/{*rest}", any(to_simulator))
        .route("/api/v1/events/{*rest}", any(to_simulator))
        .route("/api/v1/scenarios", any(to_simulator))
        .route("/api/v1/bancaire/{*rest}", any(to_bancaire))
        .route("/api/v1/ledger", get(ledger))
        .route("/", get(page))
        .route("/{*path}", get(page))
        .with_state(Arc::new(gateway));
    http::standard(router, crate::SERVICE)
        .layer(from_fn_with_state(
            Guard::new(security.clone()),
            security::guard,
        ))
        .layer(security::cors(security))
}

/// The OpenAPI 3.1 document, from the handlers themselves and the documents of those who answer what is handed on.
pub fn openapi() -> OpenApi {
    let mut openapi = own_routes().into_openapi();
    document::complete(&mut openapi);
    openapi
}

fn own_routes() -> OpenApiRouter<Arc<Gateway>> {
    let info = InfoBuilder::new()
        .title("EDA-Lab gateway")
        .version("1.0.0")
        .description(Some(
            "The one door of the lab: what the page calls, and what it watches.",
        ));
    OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build())
        .routes(routes!(health))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .routes(routes!(kafka))
        .routes(routes!(record))
        .routes(routes!(dead_letters))
        .routes(routes!(replay))
        .routes(routes!(lab))
        .routes(routes!(lab_action))
        .routes(routes!(lab_logs))
}

async fn to_simulator(State(gateway): App, request: Request) -> Response {
    gateway.proxy.forward_to_simulator(request).await
}

async fn to_bancaire(State(gateway): App, request: Request) -> Response {
    gateway.proxy.forward_to_bancaire(request).await
}

async fn ledger(State(gateway): App, request: Request) -> Response {
    let proxy = &gateway.proxy;
    proxy
        .forward_to_bancaire_at(request, "/api/v1/ledger")
        .await
}

async fn open_websocket(State(gateway): App, request: Request) -> Response {
    gateway.door.open(request)
}

/// Everything that is not an interface belongs to the page.
async fn page(State(gateway): App, request: Request) -> Result<Response, Problem> {
    let path = request.uri().path();
    if ["/api/", "/health/"]
        .iter()
        .any(|own| path.starts_with(own))
    {
        let detail = format!("There is no {} {path}.", request.method());
        return Err(Problem::not_found(detail));
    }
    Ok(gateway.ui.serve(request).await)
}

/// How every part of the lab is.
#[utoipa::path(get, path = "/api/v1/health", tag = "gateway",
    responses((status = 200, body = health::Report)))]
async fn health(State(gateway): App) -> Json<health::Report> {
    Json(gateway.health.report().await)
}

/// The process runs.
#[utoipa::path(get, path = "/health/live", tag = "gateway", responses((status = 200)))]
async fn live() -> StatusCode {
    StatusCode::OK
}

/// It streams: what is produced from now on reaches those who watch.
#[utoipa::path(get, path = "/health/ready", tag = "gateway", responses(
    (status = 200),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
async fn ready(State(gateway): App) -> http::Result<StatusCode> {
    if gateway.hub.feed().ready {
        return Ok(StatusCode::OK);
    }
    Err(Problem::unavailable(
        "The stream from Kafka has not begun yet.",
    ))
}

/// The numbers that the page shows.
#[utoipa::path(get, path = "/api/v1/metrics", tag = "gateway",
    responses((status = 200, body = metrics_api::Report)))]
async fn metrics(State(gateway): App) -> Json<metrics_api::Report> {
    Json(gateway.metrics.report().await)
}

/// Brokers, topics, partitions, groups and who owns what.
#[utoipa::path(get, path = "/api/v1/kafka", tag = "gateway", responses(
    (status = 200, body = Cluster),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
async fn kafka(State(gateway): App) -> http::Result<Json<Cluster>> {
    match gateway.kafka.cluster().await {
        Ok(cluster) => Ok(Json(Cluster::clone(&cluster))),
        Err(e) => {
            tracing::warn!(error = format!("{e:#}"), "Failed to look at Kafka");
            let detail = "The broker does not answer at the moment; try again.";
            Err(Problem::unavailable(detail))
        }
    }
}

/// One record, whole.
#[utoipa::path(get, path = "/api/v1/records/{topic}/{partition}/{offset}", tag = "gateway",
    params(("topic" = String, Path), ("partition" = i32, Path), ("offset" = i64, Path)),
    responses(
        (status = 200, body = Record),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ))]
async fn record(
    State(gateway): App,
    Path((topic, partition, offset)): Path<(String, i32, i64)>,
) -> http::Result<Json<Record>> {
    let place = (topic.as_str(), partition, offset);
    gateway.records.read(&gateway.kafka, place).await.map(Json)
}

/// Dead letters, newest first.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "gateway", params(PageQuery), responses(
    (status = 200, body = Page),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
async fn dead_letters(
    State(gateway): App,
    Query(query): Query<PageQuery>,
) -> http::Result<Json<Page>> {
    gateway.dead_letters.page(&query).await.map(Json)
}

/// Publishes a dead letter again, as it was or mended.
#[utoipa::path(post, path = "/api/v1/dead-letters/{key}/replay", tag = "gateway",
    params(("key" = String, Path, description = "topic-partition-offset of the original")),
    request_body = Replay,
    responses(
        (status = 200, body = Replayed),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ))]
async fn replay(
    State(gateway): App,
    Path(key): Path<String>,
    Json(replay): Json<Replay>,
) -> http::Result<Json<Replayed>> {
    gateway.dead_letters.replay(&key, replay).await.map(Json)
}

/// The lab's parts; 403 where this gateway does not control a lab.
#[utoipa::path(get, path = "/api/v1/lab", tag = "lab", responses(
    (status = 200, body = LabReport),
    (status = 403, body = Problem, content_type = "application/problem+json"),
))]
async fn lab(State(gateway): App) -> http::Result<Json<LabReport>> {
    gateway.lab.report().await.map(Json)
}

/// Breaks or mends a part; 202 when it is this gateway itself, which then goes away.
#[utoipa::path(post, path = "/api/v1/lab/services/{name}/{action}", tag = "lab",
    params(("name" = String, Path), ("action" = Action, Path)),
    responses(
        (status = 200, body = Done),
        (status = 202, body = Done),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 502, body = Problem, content_type = "application/problem+json"),
    ))]
async fn lab_action(
    State(gateway): App,
    Path((name, action)): Path<(String, Action)>,
) -> http::Result<(StatusCode, Json<Done>)> {
    let (status, done) = gateway.lab.act(&name, action).await?;
    Ok((status, Json(done)))
}

/// The last lines of a part's log.
#[utoipa::path(get, path = "/api/v1/lab/logs/{name}", tag = "lab",
    params(("name" = String, Path), LogQuery),
    responses(
        (status = 200, body = LogLines),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
async fn lab_logs(
    State(gateway): App,
    Path(name): Path<String>,
    Query(query): Query<LogQuery>,
) -> http::Result<Json<LogLines>> {
    gateway.lab.logs(&name, query.lines).await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_openapi_document_is_current() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/openapi/gateway.json"
        );
        let current = openapi().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == current,
            "run UPDATE=1 cargo test -p gateway openapi"
        );
    }
}
