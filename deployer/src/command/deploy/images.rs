//! Images made while the first stacks are deployed: compiled together, packed and pushed one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::{OnceCell, watch};

use crate::error::{Error, Result};
use crate::image::{self, Built, Credentials};
use crate::stacks::Image;
use crate::target::Aws;
use crate::ui::{Event, Ui};

type Packed = std::result::Result<Arc<BTreeMap<String, Built>>, Arc<Error>>;

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
            let result = pack(&speaker, images).await.map(Arc::new).map_err(Arc::new);
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
        let tell = |step, detail: &str| {
            self.ui.emit(Event::Image {
                service: service.to_owned(),
                step,
                detail: detail.to_owned(),
            });
        };
        let mut step = "unchanged";
        let digest = image::push(built, &address, credentials, || {
            tell("pushing", "");
            step = "pushed";
        })
        .await
        .map_err(|error| failed(format!("{error:#}")))?;
        tell(step, &digest);
        Ok(format!("{repository}@{digest}"))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Compiles every crate, then packs each binary.
async fn pack(ui: &Ui, images: Vec<Image>) -> Result<BTreeMap<String, Built>> {
    let mut packed = BTreeMap::new();
    let Some(first) = images.first() else { return Ok(packed) };
    let mut packages: Vec<&str> = images.iter().map(|image| image.package.as_str()).collect();
    packages.sort_unstable();
    packages.dedup();
    let binaries = image::compile(&first.workspace, &packages, |line| {
        // A build that has nothing to do says one line, which tells nobody anything.
        if !line.trim_start().starts_with("Finished") {
            ui.emit(Event::Compiler { line: line.to_owned() });
        }
    })
    .await?;
    let mut tasks = tokio::task::JoinSet::new();
    for spec in images {
        let binary = binaries.get(&spec.package).cloned().unwrap_or_default();
        tasks.spawn_blocking(move || {
            let built = image::build(&spec, &binary);
            (spec.service, built)
        });
    }
    while let Some(joined) = tasks.join_next().await {
        let (service, built) = joined.map_err(anyhow::Error::from)?;
        let built = built.map_err(|error| Error::Image {
            service: service.clone(),
            reason: format!("{error:#}"),
        })?;
        packed.insert(service, built);
    }
    Ok(packed)
}

/// User name and password for the registry, from ECR.
async fn login(aws: &Aws) -> Result<Credentials> {
    let answer = aws.ecr.get_authorization_token().send().await?;
    let token = answer
        .authorization_data()
        .first()
        .and_then(|data| data.authorization_token())
        .unwrap_or_default();
    let unusable = || Error::Other(anyhow::anyhow!("ECR gave an authorization token that cannot be read"));
    let text = STANDARD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(unusable)?;
    let (username, password) = text.split_once(':').ok_or_else(unusable)?;
    Ok(Credentials {
        username: username.to_owned(),
        password: password.to_owned(),
    })
}
