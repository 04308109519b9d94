//! Clients that misread `SameSite=None`: they take it for `Strict`, or refuse the cookie.

use http::HeaderValue;

/// Whether the client with this `User-Agent` is one of those: Chrome 40 to 69, everything on iOS 12, and Safari on
/// macOS 10.14. It is the list of ingress-nginx; Chromium's own is at
/// <https://www.chromium.org/updates/same-site/incompatible-clients>.
pub(super) fn same_site_none(agent: &HeaderValue) -> bool {
    let Ok(agent) = agent.to_str() else {
        return false;
    };
    let ios = ["CPU iPhone OS 12", "iPad; CPU OS 12"];
    let mojave = ["Macintosh", "Intel Mac OS X 10_14", "Safari"];
    old_chrome(agent)
        || ios.iter().any(|part| agent.contains(part))
        || mojave.iter().all(|part| agent.contains(part)) && !agent.contains("Chrome")
}

fn old_chrome(agent: &str) -> bool {
    let mut versions = agent.split("Chrome/").skip(1);
    versions.any(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit());
        let major = rest.get(..digits.unwrap_or(rest.len()));
        let major = major.and_then(|major| major.parse::<u32>().ok());
        major.is_some_and(|major| (40..70).contains(&major))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::same_site_none;

    #[test]
    fn old_browsers() {
        let safari = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15";
        let mac =
            |version: &str| format!("Mozilla/5.0 (Macintosh; Intel Mac OS X {version}) {safari}");
        let chrome = |version: &str| {
            format!(
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/537.36 Chrome/{version} Safari/537.36"
            )
        };
        for (agent, misreads) in [
            (mac("10_14_6"), true),
            (mac("10_15_7"), false),
            (chrome("66.0.3359.139"), true),
            (chrome("50"), true),
            (chrome("70.0.1.2"), false),
            (chrome("131.0.0.0"), false),
            (chrome("4x"), false),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 12_2 like Mac OS X)".to_owned(),
                true,
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X)".to_owned(),
                true,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 13_0 like Mac OS X)".to_owned(),
                false,
            ),
            ("curl/8.5.0".to_owned(), false),
            (String::new(), false),
        ] {
            let value = HeaderValue::from_str(&agent).unwrap();
            assert_eq!(same_site_none(&value), misreads, "{agent}");
        }
    }
}
