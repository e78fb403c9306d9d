//! A topic exists when somebody created it: metadata requests are kept from creating what they
//! ask for, which is what nisshi does and what the lab's Kafka is configured not to do.

use nisshi_sans_io::{MetadataRequest, MetadataResponse, RequestInput};
use nisshi_storage::{Error, MetadataService};
use rama::Service;

use crate::store::Store;

#[derive(Debug, Clone)]
pub struct Topics {
    inner: MetadataService<Store>,
}

impl Topics {
    pub fn new(store: Store) -> Self {
        Self {
            inner: MetadataService { storage: store },
        }
    }
}

impl Service<RequestInput<MetadataRequest>> for Topics {
    type Output = MetadataResponse;
    type Error = Error;

    async fn serve(
        &self,
        mut input: RequestInput<MetadataRequest>,
    ) -> Result<MetadataResponse, Error> {
        input.request = input.request.allow_auto_topic_creation(Some(false));
        self.inner.serve(input).await
    }
}
