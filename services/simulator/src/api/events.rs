//! Single events, and single faults: `/api/v1/events`.

use axum::extract::State;
use chassis::http::{Json, Problem, Result};
use chrono::Utc;
use schemas::{Event, EventType};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Api, check_ready};
use crate::generator::Item;
use crate::guichet::Guichet;
use crate::poison::PoisonKind;
use crate::publish::{Answer, PATIENCE, RECENT};

/// The most records of one request: what the broker acknowledges well within [`PATIENCE`].
pub const MAX_COUNT: usize = 10_000;

/// Which events to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Produce {
    #[schema(example = "CompteOuvert")]
    event_type: String,
    /// 1 to 10000; 1 when left out.
    #[schema(example = 1)]
    count: Option<i64>,
    /// The account concerned (of a transfer, the source); left out, one that was opened here.
    compte_id: Option<String>,
    /// The event itself, as the schemas say it in JSON; then `count` is 1.
    #[schema(value_type = Option<Object>)]
    event: Option<serde_json::Value>,
}

/// What is in the log now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Produced {
    events_produced: usize,
    event_ids: Vec<String>,
    /// Accounts that had to be opened first; these events are not among the above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    comptes_opened: Vec<String>,
}

/// Which malformed records to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Poison {
    /// A topic of events.
    #[schema(example = "bancaire.depot.effectue")]
    topic: String,
    kind: PoisonKind,
    /// 1 to 10000; 1 when left out.
    #[schema(example = 1)]
    count: Option<i64>,
}

/// What is in the log now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Poisoned {
    records_produced: usize,
    kind: PoisonKind,
    topic: String,
}

/// How many events to publish again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Duplicate {
    /// 1 to 10000; 1 when left out. When fewer are remembered, those.
    #[schema(example = 1)]
    count: Option<i64>,
}

/// What is in the log once more.
#[derive(Debug, Serialize, ToSchema)]
pub struct Duplicated {
    records_produced: usize,
    event_ids: Vec<String>,
}

/// Publishes events, and answers when the broker has acknowledged them.
#[utoipa::path(post, path = "/api/v1/events/produce", request_body = Produce, responses(
    (status = 200, body = Produced),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json",
        description = "The broker did not acknowledge all of them in time; the members \
                       events_produced and event_ids say which it did"),
))]
pub async fn produce(State(api): State<Api>, Json(body): Json<Produce>) -> Result<Json<Produced>> {
    let request = Request::new(body)?;
    check_ready(&api)?;
    let plan = match request {
        Request::Given(event) => {
            publish(&api, vec![Item::Event(event.clone().into())]).await?;
            return Ok(Json(Produced {
                events_produced: 1,
                event_ids: vec![event.event_id().to_owned()],
                comptes_opened: Vec::new(),
            }));
        }
        Request::Drawn {
            event_type,
            count,
            compte_id,
        } => guichet(&api).plan(event_type, count, compte_id, Utc::now()),
    };
    let item = |event: &Event| Item::Event(event.clone().into());
    let items = |events: &[Event]| events.iter().map(item).collect();
    publish(&api, items(&plan.openings)).await?;
    publish(&api, items(&plan.events)).await?;
    guichet(&api).opened(&plan);
    Ok(Json(Produced {
        events_produced: plan.events.len(),
        event_ids: plan
            .events
            .iter()
            .map(|e| e.event_id().to_owned())
            .collect(),
        comptes_opened: plan.openings.iter().map(|e| e.key().to_owned()).collect(),
    }))
}

/// Publishes malformed records, each of which must end as one dead letter.
#[utoipa::path(post, path = "/api/v1/events/poison", request_body = Poison, responses(
    (status = 200, body = Poisoned),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub async fn poison(State(api): State<Api>, Json(body): Json<Poison>) -> Result<Json<Poisoned>> {
    let count = checked_count(body.count)?;
    let topic = EventType::from_topic(&body.topic).ok_or_else(|| {
        let known = EventType::ALL.map(EventType::topic);
        Problem::bad_request(format!(
            "topic {:?} is none of {}.",
            body.topic,
            known.join(", ")
        ))
        .with_field("known", known.to_vec())
    })?;
    check_ready(&api)?;
    let items = guichet(&api).poison(topic, body.kind, count, Utc::now());
    publish(&api, items).await?;
    Ok(Json(Poisoned {
        records_produced: count,
        kind: body.kind,
        topic: body.topic,
    }))
}

/// Publishes the last acknowledged events again, unchanged: nothing may come of it.
#[utoipa::path(post, path = "/api/v1/events/duplicate", request_body = Duplicate, responses(
    (status = 200, body = Duplicated),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json",
        description = "There is nothing to repeat"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub async fn duplicate(
    State(api): State<Api>,
    Json(body): Json<Duplicate>,
) -> Result<Json<Duplicated>> {
    // The ring holds as many as a request may ask for.
    const { assert!(RECENT == MAX_COUNT) };
    let count = checked_count(body.count)?;
    check_ready(&api)?;
    let events = api.publisher.recent(count);
    if events.is_empty() {
        return Err(Problem::conflict(
            "There is nothing to repeat: no event was acknowledged since this service started.",
        ));
    }
    let event_ids: Vec<String> = events.iter().map(|e| e.event_id().to_owned()).collect();
    publish(&api, events.into_iter().map(Item::Duplicate).collect()).await?;
    Ok(Json(Duplicated {
        records_produced: event_ids.len(),
        event_ids,
    }))
}

/// A request to produce, checked.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives as long as a call")]
enum Request {
    Given(Event),
    Drawn {
        event_type: EventType,
        count: usize,
        compte_id: Option<Uuid>,
    },
}

impl Request {
    fn new(body: Produce) -> Result<Self> {
        let event_type = EventType::from_name(&body.event_type).ok_or_else(|| {
            let known = EventType::ALL.map(EventType::name);
            Problem::bad_request(format!(
                "event_type {:?} is none of {}.",
                body.event_type,
                known.join(", ")
            ))
            .with_field("known", known.to_vec())
        })?;
        let count = checked_count(body.count)?;
        let compte_id = body.compte_id.as_deref().map(|id| uuid("compte_id", id));
        let compte_id = compte_id.transpose()?;
        if let Some(json) = body.event {
            return given(event_type, json, count, compte_id).map(Self::Given);
        }
        let once = matches!(event_type, EventType::CompteOuvert | EventType::CompteFerme);
        if once && compte_id.is_some() && count > 1 {
            return Err(Problem::bad_request(format!(
                "count is {count}, but one account can have one {event_type} only; leave out \
                 compte_id, or count."
            )));
        }
        Ok(Self::Drawn {
            event_type,
            count,
            compte_id,
        })
    }
}

/// An event that the caller made.
fn given(
    event_type: EventType,
    json: serde_json::Value,
    count: usize,
    compte_id: Option<Uuid>,
) -> Result<Event> {
    if count != 1 {
        return Err(Problem::bad_request(format!(
            "count is {count}, but the event that is given is one."
        )));
    }
    let event = Event::from_json(event_type, json)
        .map_err(|e| Problem::bad_request(format!("event is not a {event_type}: {e}.")))?;
    event
        .check()
        .map_err(|e| Problem::bad_request(format!("event is not a {event_type}: {e}.")))?;
    uuid("event.event_id", event.event_id())?;
    let key = uuid(&format!("event.{}", event_type.key_field()), event.key())?;
    match compte_id {
        Some(compte_id) if compte_id != key => Err(Problem::bad_request(format!(
            "compte_id is {compte_id}, but the event concerns {key}; leave one of them out."
        ))),
        _ => Ok(event),
    }
}

fn checked_count(count: Option<i64>) -> Result<usize> {
    let count = count.unwrap_or(1);
    match usize::try_from(count) {
        Ok(count @ 1..=MAX_COUNT) => Ok(count),
        _ => Err(Problem::bad_request(format!(
            "count is {count}, not between 1 and {MAX_COUNT}."
        ))),
    }
}

fn uuid(name: &str, value: &str) -> Result<Uuid> {
    Uuid::try_parse(value)
        .map_err(|e| Problem::bad_request(format!("{name} {value:?} is not a UUID: {e}.")))
}

fn guichet(api: &Api) -> std::sync::MutexGuard<'_, Guichet> {
    api.guichet
        .lock()
        .expect("nothing panics while it holds this lock")
}

/// Publishes all of them, or says which are in the log and which are perhaps.
async fn publish(api: &Api, items: Vec<Item>) -> Result<()> {
    let answers = api.publisher.publish(&items).await;
    let acked: Vec<String> = items
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| **answer == Answer::Acked)
        .filter_map(|(item, _)| item.event_id().map(str::to_owned))
        .collect();
    let count = |wanted: fn(&Answer) -> bool| answers.iter().filter(|a| wanted(a)).count();
    let done = count(|a| *a == Answer::Acked);
    if done == items.len() {
        return Ok(());
    }
    let waiting = count(|a| *a == Answer::Unanswered);
    let failed = answers.iter().find_map(|answer| match answer {
        Answer::Failed(why) => Some(why.as_str()),
        _ => None,
    });
    let mut detail = format!("The broker acknowledged {done} of {} records", items.len());
    if let Some(why) = failed {
        detail += &format!("; {} failed: {why}", items.len() - done - waiting);
    }
    if waiting > 0 {
        detail += &format!(
            "; {waiting} had no answer within {} s, and are published when it is back within two \
             minutes",
            PATIENCE.as_secs()
        );
    }
    Err(Problem::unavailable(detail + ".")
        .with_field("events_produced", done)
        .with_field("event_ids", acked))
}
