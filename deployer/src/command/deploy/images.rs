//! Images made while the first stacks are deployed: compiled together, packed and pushed one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, watch};

use crate::command::images::pack::pack;
use crate::command::images::send::send;
use crate::error::{Error, Result};
use crate::image::{BuiltImage, Credentials};
use crate::stacks::Image;
use crate::target::Aws;
use crate::target::registry::login;
use ui::{Event, Ui};

/// How long the compiler may take: a first build of everything on a slow machine.
const COMPILE: Duration = Duration::from_secs(2 * 3600);
/// How long one image may take on its way to the registry.
const PUSH: Duration = Duration::from_secs(1800);

type Packed = std::result::Result<Arc<BTreeMap<String, BuiltImage>>, Arc<Error>>;

/// The images of one run, on their way.
pub struct Pipeline {
    ui: Ui,
    aws: Aws,
    packed: watch::Receiver<Option<Packed>>,
    credentials: OnceCell<Credentials>,
    work: tokio::task::JoinHandle<()>,
}

impl Pipeline {
    /// Begins to compile and pack in the background.
    pub fn start(ui: Ui, aws: Aws, images: Vec<Image>) -> Self {
        let (sender, packed) = watch::channel(None);
        let speaker = ui.clone();
        let work = tokio::spawn(async move {
            let packed = within(COMPILE, "building the images", pack(&speaker, images)).await;
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

    /// Whether they are still being compiled or packed.
    pub fn is_open(&self) -> bool {
        self.packed.borrow().is_none()
    }

    /// `REPOSITORY_URI@sha256:…` of a service's image, once the registry has it.
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
            .ok_or_else(|| failed("the manifest names no crate for it".into()))?;
        let Some(address) = self.aws.endpoint.push_address(repository) else {
            // There is no registry to push to.
            self.ui.emit(Event::Image {
                service: service.to_owned(),
                step: "skipped",
                detail: built.digest.clone(),
            });
            return Ok(format!("{repository}@{}", built.digest));
        };
        let credentials = self.credentials.get_or_try_init(|| login(&self.aws)).await?;
        let what = format!("pushing the image of {service}");
        let digest = within(PUSH, &what, send(&self.ui, built, &address, None, Some(credentials))).await??;
        Ok(format!("{repository}@{digest}"))
    }
}

async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(limit, work).await.map_err(|_| Error::TimedOut {
        what: what.to_owned(),
        seconds: limit.as_secs(),
        last: None,
    })
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.work.abort();
    }
}
