//! The push of one image, with its progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::image::{self, BuiltImage, Credentials, Progress};
use ui::{Event, Ui};

/// The minimum interval between two progress events.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Pushes an image; returns its digest.
///
/// # Errors
/// The registry rejects the credentials, or the upload fails.
pub async fn send(
    ui: &Ui,
    built: &BuiltImage,
    repository: &str,
    tag: Option<&str>,
    credentials: Option<&Credentials>,
) -> Result<String> {
    let emit = |step, detail: &str| {
        ui.emit(Event::Image {
            service: built.service.clone(),
            step,
            detail: detail.to_owned(),
        });
    };
    let started = Arc::new(AtomicBool::new(false));
    let progress = progress(ui.clone(), built.service.clone(), started.clone());
    let digest = image::push(built, repository, tag, credentials, progress)
        .await
        .map_err(|error| Error::from_push(&built.service, error))?;
    let step = if started.load(Ordering::Relaxed) {
        "pushed"
    } else {
        "unchanged"
    };
    emit(step, &digest);
    Ok(digest)
}

fn progress(ui: Ui, service: String, started: Arc<AtomicBool>) -> Progress {
    let last = Mutex::new(None::<Instant>);
    Arc::new(move |sent, total| {
        if !started.swap(true, Ordering::Relaxed) {
            ui.emit(Event::Image {
                service: service.clone(),
                step: "pushing",
                detail: String::new(),
            });
        }
        let mut last = last.lock();
        if sent > 0 && (sent == total || last.is_none_or(|last| last.elapsed() >= PROGRESS_INTERVAL)) {
            *last = Some(Instant::now());
            ui.emit(Event::Upload {
                service: service.clone(),
                sent,
                total,
            });
        }
    })
}
