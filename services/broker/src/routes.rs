//! Which requests the broker answers, and who does. What is not here is not offered to clients:
//! transactions, SASL and its users, access lists.

use nisshi_broker::Error;
use nisshi_broker::coordinator::group::administrator::{Controller, GroupCoordinatorConfig};
use nisshi_broker::service::{coordinator, storage};
use nisshi_sans_io::{ApiKey, FetchRequest, MetadataRequest};
use nisshi_service::{FrameRequestLayer, FrameRouteService};
use rama::layer::MapErrLayer;
use rama::{Layer, Service};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::fetch::WakingFetch;
use crate::store::Store;
use crate::topics::Topics;

/// Kafka waits 3 s for more members before a new group's first assignment; a lab knows its own.
const FIRST_REBALANCE: Duration = Duration::from_millis(100);

pub fn routes(store: &Store, stop: &CancellationToken) -> Result<FrameRouteService<Error>, Error> {
    let groups = Controller::new(
        store.clone(),
        GroupCoordinatorConfig {
            initial_rebalance_delay: FIRST_REBALANCE,
            ..GroupCoordinatorConfig::default()
        },
    );
    let builder = [
        storage::consumer_group_describe,
        storage::create_topics,
        storage::delete_records,
        storage::delete_topics,
        storage::describe_cluster,
        storage::describe_configs,
        storage::describe_topic_partitions,
        storage::find_coordinator,
        storage::incremental_alter_configs,
        storage::init_producer_id,
        storage::list_offsets,
        storage::list_partition_reassignments,
        storage::produce,
    ]
    .iter()
    .try_fold(FrameRouteService::builder(), |builder, route| {
        route(builder, store.clone())
    })?;
    let fetch = (
        MapErrLayer::new(Error::from),
        FrameRequestLayer::<FetchRequest>::new(),
    )
        .into_layer(WakingFetch::new(store.clone(), stop.clone()))
        .boxed();
    let metadata = (
        MapErrLayer::new(Error::from),
        FrameRequestLayer::<MetadataRequest>::new(),
    )
        .into_layer(Topics::new(store.clone()))
        .boxed();
    let builder = coordinator::services(builder, groups)?
        .with_route(FetchRequest::KEY, fetch)?
        .with_route(MetadataRequest::KEY, metadata)?;
    Ok(builder.build()?)
}
