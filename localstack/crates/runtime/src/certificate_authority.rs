//! Certificate authorities of one state directory, which issue the certificates of the endpoint's servers.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A root CA. Its key never leaves the state directory.
#[derive(Debug, Clone)]
pub struct CertificateAuthority {
    folder: PathBuf,
    name: &'static str,
}

impl CertificateAuthority {
    /// Returns the CA of databases, as Amazon RDS has a separate CA in each region.
    pub fn for_databases(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("rds-authority"),
            name: "RDS of the embedded endpoint, Root CA",
        }
    }

    /// Returns the CA of load balancers and brokers, whose certificates public CAs issue on AWS.
    pub fn for_public_names(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("authority"),
            name: "Embedded endpoint, Root CA",
        }
    }

    /// Returns the path of the CA certificate, in PEM. The file exists once the CA has issued a certificate.
    pub fn path(&self) -> PathBuf {
        self.file("certificate.pem")
    }

    /// Returns the CA certificate that clients trust, in PEM.
    ///
    /// # Errors
    /// When the state directory cannot be read or written.
    pub fn certificate_pem(&self) -> anyhow::Result<String> {
        self.ensure_created()?;
        fs::read_to_string(self.path()).with_context(|| format!("cannot read the certificate of '{}'", self.name))
    }

    /// Issues a certificate for a server with these DNS names and addresses, and returns it with its key.
    ///
    /// # Errors
    /// When the state directory cannot be read or written, or a name is invalid.
    pub fn issue(&self, names: &[String]) -> anyhow::Result<(Certificate, KeyPair)> {
        self.ensure_created()?;
        let key = fs::read_to_string(self.file("key.pem"))
            .with_context(|| format!("cannot read the key of '{}'", self.name))?;
        let issuer = Issuer::new(self.params()?, KeyPair::from_pem(&key)?);
        let server_key = KeyPair::generate()?;
        let mut server = CertificateParams::new(names)?;
        server
            .distinguished_name
            .push(DnType::CommonName, names.first().map_or("localhost", String::as_str));
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server = server.signed_by(&server_key, &issuer)?;
        Ok((server, server_key))
    }

    /// Issues a certificate for a server at this address and writes it to `server.crt` and `server.key` in `folder`.
    ///
    /// # Errors
    /// As for `issue`, and when the files cannot be written.
    pub fn issue_files(&self, address: Ipv4Addr, folder: &Path) -> anyhow::Result<()> {
        let (certificate, key) = self.issue(&[address.to_string(), "localhost".to_owned()])?;
        write_secret(&folder.join("server.key"), &key.serialize_pem())?;
        fs::write(folder.join("server.crt"), certificate.pem()).context("cannot write the certificate of a server")
    }

    /// Creates the CA if it does not exist. The certificate is written last, so that its existence proves the key's.
    fn ensure_created(&self) -> anyhow::Result<()> {
        static CREATING: Mutex<()> = Mutex::new(());
        let _guard = CREATING.lock();
        if self.path().is_file() {
            return Ok(());
        }
        let cannot = |what: &str| format!("cannot {what} of '{}' in {}", self.name, self.folder.display());
        fs::create_dir_all(&self.folder).with_context(|| cannot("create the folder"))?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        let key = KeyPair::generate()?;
        let certificate = self.params()?.self_signed(&key)?;
        write_secret(&self.file("key.pem"), &key.serialize_pem())?;
        let draft = self.file("certificate.new");
        fs::write(&draft, certificate.pem())?;
        fs::rename(draft, self.path()).with_context(|| cannot("store the certificate"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns the parameters of the CA certificate. They must not change: issued certificates name their issuer by them and
    /// by the key.
    fn params(&self) -> anyhow::Result<CertificateParams> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, self.name);
        Ok(params)
    }
}

/// Writes a file with mode 0600 from its creation on.
fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let _ = fs::remove_file(path);
    let file = rustix::fs::open(
        path,
        rustix::fs::OFlags::CREATE | rustix::fs::OFlags::EXCL | rustix::fs::OFlags::WRONLY,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .with_context(|| format!("cannot create {}", path.display()))?;
    std::io::Write::write_all(&mut fs::File::from(file), text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}
