//! Images built while the first stacks are deployed: compiled together, packed and pushed one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws::TimedOut;
use tokio::sync::{OnceCell, watch};

use crate::command::images::pack::pack;
use crate::command::images::send::send;
use crate::error::{Error, Result};
use crate::image::{BuiltImage, Credentials, registry_credentials};
use platform::stacks::{DEPLOYED_TAG, Image};
use ui::{Event, Ui};

/// The time limit of the compiler: a first build of everything on a slow machine.
const BUILD_TIMEOUT: Duration = Duration::from_hours(2);
/// The time limit of the push of one image.
const PUSH_TIMEOUT: Duration = Duration::from_mins(30);

type Packed = std::result::Result<Arc<BTreeMap<String, BuiltImage>>, Arc<Error>>;

/// The images of one run, in progress.
pub struct ImagePipeline {
    ui: Ui,
    aws: aws::Session,
    packed: watch::Receiver<Option<Packed>>,
    credentials: OnceCell<Credentials>,
    work: tokio::task::JoinHandle<()>,
}

impl ImagePipeline {
    /// Starts to compile and pack in the background.
    pub fn start(ui: Ui, aws: aws::Session, images: Vec<Image>) -> Self {
        let (sender, packed) = watch::channel(None);
        let progress = ui.clone();
        let work = tokio::spawn(async move {
            let packed = with_timeout(BUILD_TIMEOUT, "building the images", pack(&progress, images)).await;
            let result = packed.flatten().map(Arc::new).map_err(Arc::new);
            sender.send_replace(Some(result));
        });
        Self {
            ui,
            aws,
            packed,
            credentials: OnceCell::new(),
            work,
        }
    }

    /// Returns whether the images are still compiled or packed.
    pub fn is_building(&self) -> bool {
        self.packed.borrow().is_none()
    }

    /// Waits until the registry has a service's image; returns `REPOSITORY_URI@sha256:…`.
    ///
    /// # Errors
    /// The image cannot be built or pushed in time.
    pub async fn reference(&self, service: &str, repository: &str) -> Result<String> {
        let failed = |reason: String| Error::Image {
            service: service.to_owned(),
            reason,
            hint: None,
        };
        let mut packed = self.packed.clone();
        let ended = packed.wait_for(Option::is_some).await.map(|end| end.clone());
        let all = match ended {
            Ok(Some(Ok(all))) => all,
            Ok(Some(Err(error))) => return Err(Error::Shared(error)),
            _ => return Err(failed("the compilation was interrupted".into())),
        };
        let built = all
            .get(service)
            .ok_or_else(|| failed("the manifest names no crate".into()))?;
        let Some(address) = self.aws.endpoint().push_address(repository) else {
            // The endpoint has no registry.
            self.ui.emit(Event::Image {
                service: service.to_owned(),
                step: "skipped",
                detail: built.digest.clone(),
            });
            return Ok(format!("{repository}@{}", built.digest));
        };
        let credentials = self
            .credentials
            .get_or_try_init(|| registry_credentials(&self.aws))
            .await?;
        let what = format!("pushing the image of {service}");
        // The registry's lifecycle policy retains images with this tag.
        let tag = format!("{DEPLOYED_TAG}{}", built.digest_tag());
        let digest = with_timeout(
            PUSH_TIMEOUT,
            &what,
            send(&self.ui, built, &address, Some(&tag), Some(credentials)),
        )
        .await??;
        Ok(format!("{repository}@{digest}"))
    }
}

async fn with_timeout<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> Result<T> {
    let result = tokio::time::timeout(limit, work).await;
    result.map_err(|_| {
        let (what, seconds) = (what.to_owned(), limit.as_secs());
        Error::TimedOut(TimedOut {
            what,
            seconds,
            last: None,
        })
    })
}

impl Drop for ImagePipeline {
    fn drop(&mut self) {
        self.work.abort();
    }
}
