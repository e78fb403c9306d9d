//! The HTTP surface: accounts, transactions, the books, and how the service is. It only reads;
//! everything that changes comes through Kafka.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chassis::http::{self, Json, Path, Problem, Query};
use chassis::postgres;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::broker::{Broker, Highs};
use crate::health::{Dependency, Status};
use crate::ledger::{self, Ledger, Stats};
use crate::repository::{self, Books, Compte, Transaction};
use crate::shared::Shared;

/// A health endpoint answers within about this time whatever is away.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why it does not consume when nothing is known to be wrong.
const NOT_ASSIGNED: &str = "The partitions are not assigned yet.";

/// What the handlers need.
#[derive(Clone)]
pub struct Api {
    pub pool: PgPool,
    pub broker: Arc<Broker>,
    pub shared: Arc<Shared>,
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
        .title("EDA-Lab bancaire")
        .version("1.0.0")
        .description(Some(
            "Accounts and transactions, consumed from Kafka exactly once in effect.",
        ));
    OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build())
        .routes(routes!(health))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(comptes))
        .routes(routes!(compte))
        .routes(routes!(transactions))
        .routes(routes!(comptes_of_client))
        .routes(routes!(stats))
        .routes(routes!(books))
}

/// How the service and what it needs are.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct HealthReport {
    status: Status,
    /// `connected` or `disconnected`.
    kafka: &'static str,
    /// `connected` or `disconnected`.
    postgres: &'static str,
    /// True while it reads its partitions.
    consuming: bool,
    /// What is wrong, and the way out where a person is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Health: `degraded` while something is away or the partitions are not read yet, `unhealthy`
/// (503) when a person is needed.
#[utoipa::path(get, path = "/api/v1/health", responses(
    (status = 200, body = HealthReport),
    (status = 503, body = HealthReport, description = "It does not go on without a person"),
))]
async fn health(State(api): State<Api>) -> Response {
    let (kafka, postgres) = tokio::join!(api.broker.highs(), postgres_answers(&api.pool));
    let state = &api.shared.health;
    let reachable = kafka.is_some() && postgres;
    let consuming = state.is_consuming();
    let status = match state.status() {
        Status::Healthy if !reachable || !consuming => Status::Degraded,
        status => status,
    };
    let dependencies = [
        Dependency::Postgres,
        Dependency::Kafka,
        Dependency::Registry,
    ];
    let problem = || {
        dependencies
            .into_iter()
            .find_map(|dependency| state.problem(dependency))
    };
    let connection = |up: bool| if up { "connected" } else { "disconnected" };
    let report = HealthReport {
        status,
        kafka: connection(kafka.is_some()),
        postgres: connection(postgres),
        consuming,
        reason: state
            .stopped()
            .or_else(problem)
            .or_else(|| (!consuming).then(|| NOT_ASSIGNED.to_owned())),
    };
    let code = match status {
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        Status::Healthy | Status::Degraded => StatusCode::OK,
    };
    (code, Json(report)).into_response()
}

async fn postgres_answers(pool: &PgPool) -> bool {
    let answer = tokio::time::timeout(PROBE_TIMEOUT, postgres::health_check(pool)).await;
    matches!(answer, Ok(Ok(())))
}

/// The process runs.
#[utoipa::path(get, path = "/health/live", responses((status = 200)))]
async fn live() -> StatusCode {
    StatusCode::OK
}

/// It consumes: partitions are assigned and PostgreSQL answers.
#[utoipa::path(get, path = "/health/ready", responses(
    (status = 200),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
async fn ready(State(api): State<Api>) -> http::Result<StatusCode> {
    if let Some(why) = api.shared.health.stopped() {
        return Err(Problem::unavailable(why));
    }
    if !api.shared.health.is_consuming() {
        return Err(Problem::unavailable(NOT_ASSIGNED));
    }
    if !postgres_answers(&api.pool).await {
        return Err(Problem::unavailable("PostgreSQL does not answer."));
    }
    Ok(StatusCode::OK)
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Comptes {
    comptes: Vec<Compte>,
}

/// A page of accounts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ComptesPage {
    comptes: Vec<Compte>,
    /// What `after` must be for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Transactions {
    transactions: Vec<Transaction>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// The id of the last account of the page before.
    after: Option<String>,
    /// Accounts on a page, 1 to 500; 50 without it.
    limit: Option<i64>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct LimitQuery {
    /// Transactions at most, 1 to 1000; 10 without it.
    limit: Option<i64>,
}

/// Accounts by id, page by page.
#[utoipa::path(get, path = "/api/v1/comptes", params(PageQuery), responses(
    (status = 200, body = ComptesPage),
    (status = 400, body = Problem, content_type = "application/problem+json"),
))]
async fn comptes(
    State(api): State<Api>,
    Query(page): Query<PageQuery>,
) -> http::Result<Json<ComptesPage>> {
    let limit = limit(page.limit, 50, 500)?;
    let after = page.after.unwrap_or_default();
    // Whatever id an event gave its account; U+0000 is no text to PostgreSQL.
    if after.contains('\0') || after.chars().count() > 36 {
        return Err(Problem::bad_request(format!(
            "after {after:?} is not an account's id."
        )));
    }
    let mut comptes = repository::list(&api.pool, &after, limit + 1).await?;
    let more = comptes.len() as i64 > limit;
    comptes.truncate(limit as usize);
    let next = comptes
        .last()
        .filter(|_| more)
        .map(|compte| compte.id.clone());
    Ok(Json(ComptesPage { comptes, next }))
}

/// One account.
#[utoipa::path(get, path = "/api/v1/comptes/{id}", params(("id" = Uuid, Path)), responses(
    (status = 200, body = Compte),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
async fn compte(State(api): State<Api>, Path(id): Path<String>) -> http::Result<Json<Compte>> {
    existing(&api.pool, &id).await.map(Json)
}

/// An account's transactions, accepted and refused, newest first.
#[utoipa::path(get, path = "/api/v1/comptes/{id}/transactions",
    params(("id" = Uuid, Path), LimitQuery),
    responses(
        (status = 200, body = Transactions),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
async fn transactions(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(query): Query<LimitQuery>,
) -> http::Result<Json<Transactions>> {
    let limit = limit(query.limit, 10, 1000)?;
    let compte = existing(&api.pool, &id).await?;
    let transactions = repository::get_transactions(&api.pool, &compte.id, limit).await?;
    Ok(Json(Transactions { transactions }))
}

/// A client's accounts; none for a client that is not known.
#[utoipa::path(get, path = "/api/v1/clients/{client_id}/comptes",
    params(("client_id" = Uuid, Path)),
    responses(
        (status = 200, body = Comptes),
        (status = 400, body = Problem, content_type = "application/problem+json"),
    ))]
async fn comptes_of_client(
    State(api): State<Api>,
    Path(client_id): Path<String>,
) -> http::Result<Json<Comptes>> {
    uuid("client_id", &client_id)?;
    let comptes = repository::get_by_client_id(&api.pool, &client_id).await?;
    Ok(Json(Comptes { comptes }))
}

/// The bank in figures.
#[utoipa::path(get, path = "/api/v1/stats", responses((status = 200, body = Stats)))]
async fn stats(State(api): State<Api>) -> http::Result<Json<Stats>> {
    let books = repository::books(&api.pool, true).await?;
    let highs = ends(&api, &books).await;
    Ok(Json(ledger::stats(&books, highs.as_deref())))
}

/// The books: every record of every partition, accounted for.
#[utoipa::path(get, path = "/api/v1/ledger", responses((status = 200, body = Ledger)))]
async fn books(State(api): State<Api>) -> http::Result<Json<Ledger>> {
    let books = repository::books(&api.pool, false).await?;
    let highs = ends(&api, &books).await;
    Ok(Json(ledger::ledger(&books, highs.as_deref())))
}

/// The ends of the logs at a moment after the books were read.
async fn ends(api: &Api, books: &Books) -> Option<Arc<Highs>> {
    let highs = api.broker.highs().await?;
    if ledger::outdated(books, &highs) {
        api.broker.highs_now().await
    } else {
        Some(highs)
    }
}

async fn existing(pool: &PgPool, id: &str) -> http::Result<Compte> {
    uuid("id", id)?;
    let compte = repository::get_by_id(pool, id).await?;
    compte.ok_or_else(|| Problem::not_found(format!("There is no account {id}.")))
}

fn uuid(name: &str, value: &str) -> http::Result<()> {
    match Uuid::try_parse(value) {
        Ok(_) => Ok(()),
        Err(e) => Err(Problem::bad_request(format!(
            "{name} {value:?} is not a UUID: {e}."
        ))),
    }
}

fn limit(asked: Option<i64>, default: i64, most: i64) -> http::Result<i64> {
    let limit = asked.unwrap_or(default);
    if (1..=most).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::bad_request(format!(
            "limit is {limit}, not between 1 and {most}."
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_openapi_document_is_current() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/openapi/bancaire.json"
        );
        let current = openapi().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == current,
            "run UPDATE=1 cargo test -p bancaire openapi"
        );
    }

    #[test]
    fn limits_and_ids_are_checked() {
        assert_eq!(limit(None, 10, 1000).unwrap(), 10);
        for bad in [0, -1, 1001] {
            assert_eq!(limit(Some(bad), 10, 1000).unwrap_err().status, 400);
        }
        let problem = uuid("id", "not-a-uuid").unwrap_err();
        assert!(problem.detail.contains("not-a-uuid"), "{}", problem.detail);
    }
}
