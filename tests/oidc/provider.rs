//! What the other tests take for granted: the real provider and its grants.

use anyhow::Result;
use headgate_tests::oidc::keys::claims;
use headgate_tests::oidc::provider::{Options, RealProvider};
use std::time::Duration;

const AUDIENCE: &str = "urn:headgate:orders";

#[tokio::test]
async fn a_user_and_a_service_get_tokens_with_their_claims_audience_and_lifetime() -> Result<()> {
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let provider = RealProvider::start(&Options { algorithm, ..Options::default() }).await?;
        let user = claims(&provider.token("alice", AUDIENCE, Duration::from_secs(7)).await?)?;
        assert_eq!(
            (&user["iss"], &user["sub"], &user["aud"]),
            (&provider.issuer().into(), &"alice".into(), &AUDIENCE.into())
        );
        assert_eq!(user["realm_access"]["roles"][0], "viewer");
        assert_eq!(user["exp"].as_i64().zip(user["iat"].as_i64()).map(|(end, start)| end - start), Some(7));
        let service = claims(&provider.service_token("till-3", "urn:other", Duration::ZERO).await?)?;
        assert_eq!(
            (&service["sub"], &service["aud"], &service["device"]),
            (&"till-3".into(), &"urn:other".into(), &"till-3".into())
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_login_can_be_renewed_also_after_the_keys_have_changed() -> Result<()> {
    let provider = RealProvider::start(&Options::default()).await?;
    let first = provider.log_in("bob", AUDIENCE, Duration::ZERO).await?;
    provider.rotate_keys(true).await?;
    let second = provider.refresh(first.refresh.as_deref().unwrap_or_default(), Duration::ZERO).await?;
    assert_eq!(claims(&second.access)?["sub"], "bob");
    let header = |token: &str| token.split('.').next().map(str::to_owned);
    assert_ne!(header(&first.access), header(&second.access), "the key is the same");
    Ok(())
}
