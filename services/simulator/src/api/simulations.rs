//! Start, change, stop, watch: `/api/v1/simulation`.

use axum::extract::State;
use chassis::http::{Json, Problem, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Api, check_ready};
use crate::publish;
use crate::scenario::{MAX_DURATION_S, MIN_RATE, Scenario};
use crate::simulation::{NotRunning, Order, Phase, StartError, Status};

/// What to simulate; what is left out is as the scenario says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// One of `/api/v1/scenarios`; `default` when left out.
    #[schema(example = "default")]
    scenario: Option<String>,
    /// Events per second.
    #[schema(example = 10)]
    rate: Option<f64>,
    /// Seconds; 0 = until it is stopped.
    #[schema(example = 60)]
    duration: Option<f64>,
    /// The same seed and scenario make the same events; left out, it differs each time.
    seed: Option<u64>,
}

/// A simulation that has just started.
#[derive(Debug, Serialize, ToSchema)]
pub struct Started {
    simulation_id: Uuid,
    status: Phase,
    /// To have the same events again.
    seed: u64,
}

/// What to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Events per second.
    #[schema(example = 50)]
    rate: f64,
}

/// A simulation that was told to stop.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stopped {
    /// `stopped`; `stopping` while the broker has not answered for everything.
    status: Phase,
    simulation_id: Option<Uuid>,
    /// Records that the broker acknowledged.
    events_produced: u64,
}

/// Starts a simulation; one runs at a time.
#[utoipa::path(post, path = "/api/v1/simulation/start", request_body = Start, responses(
    (status = 200, body = Started),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json",
        description = "One has not ended"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub async fn start(State(api): State<Api>, Json(start): Json<Start>) -> Result<Json<Started>> {
    let order = order(&api, start)?;
    check_ready(&api)?;
    let status = api.manager.start(order).map_err(|e| match e {
        StartError::AlreadyRunning(id) => Problem::conflict(format!(
            "Simulation {id} has not ended; stop it first, or change its rate."
        ))
        .with_field("simulation_id", id.to_string()),
        e @ StartError::Thread(_) => Problem::internal(e),
    })?;
    Ok(Json(Started {
        simulation_id: status.simulation_id.unwrap_or_default(),
        status: status.status,
        seed: status.seed.unwrap_or_default(),
    }))
}

/// Changes the rate of the simulation that runs.
#[utoipa::path(patch, path = "/api/v1/simulation", request_body = Change, responses(
    (status = 200, body = Status),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json",
        description = "None runs"),
))]
pub async fn change(State(api): State<Api>, Json(change): Json<Change>) -> Result<Json<Status>> {
    let rate = checked_rate(change.rate, api.max_rate)?;
    api.manager.set_rate(rate).map(Json).map_err(none_runs)
}

/// Stops the simulation that runs, and waits for the broker's answers.
#[utoipa::path(post, path = "/api/v1/simulation/stop", responses(
    (status = 200, body = Stopped),
    (status = 409, body = Problem, content_type = "application/problem+json",
        description = "None runs"),
))]
pub async fn stop(State(api): State<Api>) -> Result<Json<Stopped>> {
    let status = api
        .manager
        .stop(publish::PATIENCE)
        .await
        .map_err(none_runs)?;
    Ok(Json(Stopped {
        status: status.status,
        simulation_id: status.simulation_id,
        events_produced: status.events_produced,
    }))
}

/// The simulation that runs, or the last one.
#[utoipa::path(get, path = "/api/v1/simulation/status", responses((status = 200, body = Status)))]
pub async fn status(State(api): State<Api>) -> Json<Status> {
    Json(api.manager.status())
}

fn none_runs(error: NotRunning) -> Problem {
    Problem::conflict(format!("There is nothing to stop or change: {error}."))
}

fn order(api: &Api, start: Start) -> Result<Order> {
    let name = start.scenario.as_deref().unwrap_or("default");
    let scenario: &Scenario = api.scenarios.get(name).ok_or_else(|| {
        let known: Vec<&str> = api.scenarios.iter().map(|s| s.name.as_str()).collect();
        Problem::bad_request(format!(
            "There is no scenario {name:?}; there are {}.",
            known.join(", ")
        ))
        .with_field("known", known)
    })?;
    let duration = start.duration.unwrap_or(scenario.duration);
    if !(0.0..=MAX_DURATION_S).contains(&duration) {
        return Err(Problem::bad_request(format!(
            "duration is {duration}, not between 0 and {MAX_DURATION_S} seconds; 0 has no end."
        )));
    }
    Ok(Order {
        scenario: scenario.clone(),
        rate: checked_rate(start.rate.unwrap_or(scenario.rate), api.max_rate)?,
        duration,
        // Small enough for a JavaScript number, and to be read out.
        seed: start
            .seed
            .unwrap_or_else(|| u64::from(rand::random::<u32>())),
    })
}

fn checked_rate(rate: f64, max: f64) -> Result<f64> {
    if (MIN_RATE..=max).contains(&rate) {
        return Ok(rate);
    }
    Err(Problem::bad_request(format!(
        "rate is {rate}, not between {MIN_RATE} and {max} events per second; SIMULATOR_MAX_RATE \
         raises the limit."
    ))
    .with_field("max_rate", max))
}
