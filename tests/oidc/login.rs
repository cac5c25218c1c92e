//! The command line logs in at a real provider, keeps the login for its user only, streams with it, and gives it up.

use crate::stage::{SOON, Stage};
use anyhow::{Context as _, Result, ensure};
use headgate_tests::oidc::browser::{Browser, Page};
use headgate_tests::oidc::keys::claims;
use headgate_tests::oidc::provider::{Options, RealProvider};
use headgate_tests::process::Process;
use headgate_tests::wait::{eventually, eventually_ok};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How long one step may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);
const AUDIENCE: &str = "urn:headgate:orders";

/// A home of its own for the logins of a test.
pub fn home() -> Result<TempDir> {
    Ok(tempfile::tempdir()?)
}

/// `headgate` with these words, in this home.
pub fn headgate(home: &Path, words: &[&str]) -> Result<Process> {
    let mut command = Process::command("headgate")?;
    command.env("HOME", home).env_remove("XDG_CONFIG_HOME").args(words);
    Process::start("headgate", command)
}

/// Waits for a line on its standard error output.
pub async fn told(process: &Process, wanted: impl Fn(&str) -> bool) -> Result<String> {
    eventually_ok("a notice of headgate", PATIENCE, async || {
        process.stderr().into_iter().find(|line| wanted(line)).with_context(|| format!("{:?}", process.stderr()))
    })
    .await
}

/// Presses the button of a user on whatever page comes.
async fn press(browser: &mut Browser, mut page: Page, user: &str) -> Result<Page> {
    while page.body.contains("<form") {
        page = browser.submit(&page, &[("user", user)]).await?;
    }
    Ok(page)
}

/// Logs in as a user by the browser flow.
pub async fn log_in(home: &Path, issuer: &str, user: &str, options: &[&str]) -> Result<Process> {
    let words = [&["login", issuer, "--no-browser"], options].concat();
    let mut login = headgate(home, &words)?;
    let url = told(&login, |line| line.starts_with("http://")).await?;
    let mut browser = Browser::default();
    let page = browser.visit(&url).await?;
    let last = press(&mut browser, page, user).await?;
    ensure!(last.body.contains("You are logged in"), "{last:?}");
    let status = login.exit(PATIENCE).await?;
    ensure!(status.success(), "{:?}", login.stderr());
    Ok(login)
}

/// What a command prints.
pub async fn printed(home: &Path, words: &[&str]) -> Result<String> {
    let mut process = headgate(home, words)?;
    let status = process.exit(PATIENCE).await?;
    ensure!(status.success(), "{:?}", process.stderr());
    Ok(process.stdout().join("\n"))
}

fn files(home: &Path) -> Result<Vec<PathBuf>> {
    let folder = home.join(".config/headgate/logins");
    Ok(fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?)
}

#[tokio::test]
async fn somebody_logs_in_with_a_browser_and_the_login_is_a_file_of_this_user_only() -> Result<()> {
    let (provider, home) = (RealProvider::start(&Options::default()).await?, home()?);
    let login = log_in(home.path(), provider.issuer(), "alice", &[]).await?;
    let token = printed(home.path(), &["token"]).await?;
    let claims = claims(&token)?;
    assert_eq!((&claims["sub"], &claims["aud"]), (&"alice".into(), &AUDIENCE.into()));
    let everything = [login.stdout(), login.stderr()].concat().join("\n");
    assert!(!everything.contains(&token), "the token was printed unasked");
    assert!(!files(home.path())?.is_empty());
    for file in files(home.path())? {
        assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    Ok(())
}

#[tokio::test]
async fn somebody_logs_in_on_another_device() -> Result<()> {
    let (provider, home) = (RealProvider::start(&Options::default()).await?, home()?);
    let mut login = headgate(home.path(), &["login", provider.issuer(), "--device", "--resource", "urn:other"])?;
    let line = told(&login, |line| line.starts_with("Open ")).await?;
    let url = line.trim_start_matches("Open ");
    let mut browser = Browser::default();
    let page = browser.visit(url).await?;
    press(&mut browser, page, "bob").await?;
    assert!(login.exit(PATIENCE).await?.success(), "{:?}", login.stderr());
    let claims = claims(&printed(home.path(), &["token", provider.issuer()]).await?)?;
    assert_eq!((&claims["sub"], &claims["aud"]), (&"bob".into(), &"urn:other".into()));
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_renewed_and_a_login_that_is_given_up_is_gone() -> Result<()> {
    let options = Options { lifetime: Duration::from_secs(1), ..Options::default() };
    let (provider, home) = (RealProvider::start(&options).await?, home()?);
    log_in(home.path(), provider.issuer(), "alice", &[]).await?;
    let first = printed(home.path(), &["token"]).await?;
    eventually("the next token", PATIENCE, async || {
        printed(home.path(), &["token"]).await.is_ok_and(|second| second != first)
    })
    .await?;
    printed(home.path(), &["logout"]).await?;
    assert_eq!(files(home.path())?, Vec::<PathBuf>::new());
    let mut token = headgate(home.path(), &["token"])?;
    assert_eq!(token.exit(PATIENCE).await?.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn an_issuer_that_calls_itself_otherwise_is_not_logged_in_at() -> Result<()> {
    let (provider, home) = (RealProvider::start(&Options::default()).await?, home()?);
    let mut login = headgate(home.path(), &["login", &format!("{}/", provider.issuer()), "--no-browser"])?;
    assert_eq!(login.exit(PATIENCE).await?.code(), Some(1));
    assert!(login.stderr().join("\n").contains("it calls itself"), "{:?}", login.stderr());
    Ok(())
}

/// W6
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_the_command_line_outlives_its_tokens_on_one_connection() -> Result<()> {
    let options = Options { lifetime: Duration::from_secs(6), ..Options::default() };
    let (provider, home) = (RealProvider::start(&options).await?, home()?);
    let stage = Stage::open(provider.issuer()).await?;
    log_in(home.path(), provider.issuer(), "alice", &[]).await?;
    let url = format!("http://{}/orders", stage.gateway.stream);
    let words = ["stream", &url, "--issuer", provider.issuer(), "-n", "2", "-o", "json"];
    let mut reader = headgate(home.path(), &words)?;
    eventually("the connection", SOON, async || stage.connections().await.is_ok_and(|open| open == 1)).await?;
    stage.produce_large(1).await?;
    reader.line(PATIENCE, |line| line.starts_with('{')).await?;

    let now = || fs::read(login_file(home.path())?).map_err(anyhow::Error::from);
    for what in ["its second token", "its third token"] {
        let before = now()?;
        eventually(what, SOON, async || now().is_ok_and(|after| after != before)).await?;
    }
    stage.produce_large(1).await?;
    assert!(reader.exit(PATIENCE).await?.success(), "{:?}", reader.stderr());
    assert_eq!(reader.stdout().len(), 2);
    let said = reader.stderr().join("\n");
    assert!(!said.contains("trying again"), "{said}");
    Ok(())
}

fn login_file(home: &Path) -> Result<PathBuf> {
    let found = files(home)?.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "json"));
    found.context("no login")
}

/// W10
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_not_for_the_stream_is_said_to_have_been_refused() -> Result<()> {
    let (provider, home) = (RealProvider::start(&Options::default()).await?, home()?);
    let stage = Stage::open(provider.issuer()).await?;
    log_in(home.path(), provider.issuer(), "alice", &["--resource", "urn:elsewhere"]).await?;
    let url = format!("http://{}/orders", stage.gateway.stream);
    let mut reader = headgate(home.path(), &["stream", &url, "--issuer", provider.issuer()])?;
    assert_eq!(reader.exit(PATIENCE).await?.code(), Some(2));
    let said = reader.stderr().join("\n");
    assert!(said.contains("401") && said.contains("was sent and refused"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_given_up_stays_given_up_and_ends_the_streams_that_use_it() -> Result<()> {
    let options = Options { lifetime: Duration::from_secs(6), ..Options::default() };
    let (provider, home) = (RealProvider::start(&options).await?, home()?);
    let stage = Stage::open(provider.issuer()).await?;
    log_in(home.path(), provider.issuer(), "alice", &[]).await?;
    let url = format!("http://{}/orders", stage.gateway.stream);
    let mut reader = headgate(home.path(), &["stream", &url, "--issuer", provider.issuer()])?;
    eventually("the connection", SOON, async || stage.connections().await.is_ok_and(|open| open == 1)).await?;
    printed(home.path(), &["logout"]).await?;
    assert!(!reader.exit(PATIENCE).await?.success(), "{:?}", reader.stderr());
    assert!(reader.stderr().join("\n").contains("headgate login"), "{:?}", reader.stderr());
    assert_eq!(files(home.path())?, Vec::<PathBuf>::new());
    Ok(())
}
