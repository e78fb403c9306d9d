//! Requests pass through a gate that the end of the broker closes: what is inside is finished,
//! what comes later finds a closed connection.

use std::sync::Arc;
use std::time::Duration;

use nisshi_broker::Error;
use nisshi_sans_io::{ApiKey, Frame, FrameInput, JoinGroupRequest, SyncGroupRequest};
use nisshi_service::FrameRouteService;
use rama::Service;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// More requests than connections that a machine can hold.
const ROOM: u32 = 1 << 20;

#[derive(Debug, Clone)]
pub struct Gate {
    inner: FrameRouteService<Error>,
    inside: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Gate {
    pub fn new(inner: FrameRouteService<Error>, stop: CancellationToken) -> Self {
        Self {
            inner,
            inside: Arc::new(Semaphore::new(ROOM as usize)),
            stop,
        }
    }

    /// Waits until nobody is inside, up to `patience`, and lets nobody in again. False when
    /// somebody still was.
    pub async fn close(&self, patience: Duration) -> bool {
        let emptied = tokio::time::timeout(patience, self.inside.acquire_many(ROOM)).await;
        self.inside.close();
        emptied.is_ok()
    }
}

impl Service<FrameInput> for Gate {
    type Output = Frame;
    type Error = Error;

    async fn serve(&self, request: FrameInput) -> Result<Frame, Error> {
        let stops = || Error::Message("the broker stops".into());
        let _inside = self.inside.acquire().await.map_err(|_| stops())?;
        // These two are held until other members do something, which may be never.
        let is_held = [JoinGroupRequest::KEY, SyncGroupRequest::KEY];
        let is_held = is_held.contains(&request.frame.api_key()?);
        tokio::select! {
            answer = self.inner.serve(request) => answer,
            () = self.stop.cancelled(), if is_held => Err(stops()),
        }
    }
}
