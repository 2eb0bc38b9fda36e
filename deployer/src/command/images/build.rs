//! `deployer images build`: compiles and packs.

use serde_json::json;

use super::{Services, megabytes, pack::pack};
use crate::context::Session;
use crate::error::Result;
use ui::table::table;

/// Compile the services and pack each into an OCI image under target/oci: the same sources give the same bytes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    services: Services,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let animation = session.ui.animate();
    let packed = pack(&session.ui, args.services.of(&plan)?).await?;
    drop(animation);
    let mut rows = vec![["SERVICE", "SIZE", "DIGEST"].map(str::to_owned).to_vec()];
    let mut values = Vec::new();
    for (service, built) in &packed {
        values.push(
            json!({ "service": service, "digest": built.digest, "bytes": built.bytes(), "layout": built.folder }),
        );
        rows.push(vec![service.clone(), megabytes(built.bytes()), built.digest.clone()]);
    }
    session.ui.data("images", json!(values), &table(&rows));
    Ok(())
}
