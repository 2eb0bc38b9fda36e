//! One image to its repository, with what there is to say about it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::image::{self, BuiltImage, Credentials, Progress};
use ui::{Event, Ui};

/// How often at most a bar moves.
const PACE: Duration = Duration::from_millis(200);

/// Pushes, and gives the image's digest.
pub async fn send(
    ui: &Ui,
    built: &BuiltImage,
    repository: &str,
    tag: Option<&str>,
    credentials: Option<&Credentials>,
) -> Result<String> {
    let tell = |step, detail: &str| {
        ui.emit(Event::Image {
            service: built.service.clone(),
            step,
            detail: detail.to_owned(),
        });
    };
    let begun = Arc::new(AtomicBool::new(false));
    let progress = progress(ui.clone(), built.service.clone(), begun.clone());
    let digest = image::push(built, repository, tag, credentials, progress)
        .await
        .map_err(|error| Error::from_push(&built.service, error))?;
    let step = if begun.load(Ordering::Relaxed) {
        "pushed"
    } else {
        "unchanged"
    };
    tell(step, &digest);
    Ok(digest)
}

fn progress(ui: Ui, service: String, begun: Arc<AtomicBool>) -> Progress {
    let last = Mutex::new(None::<Instant>);
    Arc::new(move |sent, total| {
        if !begun.swap(true, Ordering::Relaxed) {
            ui.emit(Event::Image {
                service: service.clone(),
                step: "pushing",
                detail: String::new(),
            });
        }
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if sent > 0 && (sent == total || last.is_none_or(|last| last.elapsed() >= PACE)) {
            *last = Some(Instant::now());
            ui.emit(Event::Upload {
                service: service.clone(),
                sent,
                total,
            });
        }
    })
}
