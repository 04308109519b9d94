use super::*;

fn installed(version: &str, channel: &str) -> Vec<Installed> {
    let text = format!(
        "gateways.gateway.networking.k8s.io {version} {channel}\n\
         clientpolicies.postern.dev  \n\
         xbackends.gateway.networking.x-k8s.io {version} {channel}\n"
    );
    listing(&text)
}

#[test]
fn definitions_are_listed_with_what_they_say_of_themselves() {
    let found = installed("v1.6.3", "standard");
    assert_eq!(found.len(), 2, "others are not of the Gateway API");
    assert_eq!(
        found[1].to_string(),
        "xbackends.gateway.networking.x-k8s.io of v1.6.3 (standard)"
    );
    assert_eq!(summary(&found), "v1.6.3 standard");
    let silent = listing("gateways.gateway.networking.k8s.io  \n");
    assert_eq!(
        silent[0].to_string(),
        "gateways.gateway.networking.k8s.io of no version (no channel)"
    );
    assert_eq!(summary(&[]), "none");
}

#[test]
fn newer_definitions_stay_and_older_ones_are_raised_in_their_channel() {
    let unsaid = Wanted::default();
    let apply = |channel: Channel| {
        let version = Version::NEWEST;
        Step::Apply(Bundle { version, channel })
    };
    assert_eq!(step(&[], unsaid), Step::Apply(Bundle::NEWEST));
    let older = installed("v1.6.3", "standard");
    assert_eq!(step(&older, unsaid), apply(Channel::Standard));
    let older = installed("v1.6.3", "experimental");
    assert_eq!(step(&older, unsaid), apply(Channel::Experimental));
    let same = installed("v1.7.0", "standard");
    assert_eq!(step(&same, unsaid), apply(Channel::Standard));
    let newer = installed("v1.8.0", "standard");
    let Step::Leave(said) = step(&newer, unsaid) else {
        panic!("they are newer");
    };
    assert!(said.contains("v1.8.0 standard"), "{said}");
    assert!(said.contains("--version 1.7.0 replaces them"), "{said}");
}

#[test]
fn what_is_said_counts() {
    let newer = installed("v1.8.0", "standard");
    let wanted = Wanted {
        version: Some(Version::V1_6_3),
        channel: Some(Channel::Experimental),
    };
    let bundle = Bundle {
        version: Version::V1_6_3,
        channel: Channel::Experimental,
    };
    assert_eq!(step(&newer, wanted), Step::Apply(bundle));
    assert_eq!(bundle.to_string(), "v1.6.3 experimental");
}

#[test]
fn versions_are_known_by_name() {
    for version in Version::ALL {
        assert_eq!(Version::find(version.as_str()), Some(version));
        let named = format!("v{}", version.as_str());
        assert_eq!(Version::find(&named), Some(version));
        assert_eq!(Release::parse(&named), Some(version.release()));
    }
    assert_eq!(Version::find("1.5.0"), None);
    assert_eq!(Version::ALL.last(), Some(&Version::NEWEST));
}
