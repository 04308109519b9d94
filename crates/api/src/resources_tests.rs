use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use proptest::prelude::*;

use super::{Object, Resources};
use crate::annotation;

/// Objects by name and content; some are marked as made by us.
fn resources() -> impl Strategy<Value = Resources> {
    prop::collection::vec((0..6_u8, 0..3_u8, any::<bool>()), 0..8).prop_map(|objects| {
        let mut resources = Resources::default();
        for (name, content, managed) in objects {
            let mut object = ConfigMap::default();
            object.metadata.name = Some(format!("c{name}"));
            let data = object.data.get_or_insert_default();
            data.insert("content".to_owned(), content.to_string());
            if managed {
                let labels = object.metadata.labels.get_or_insert_default();
                let value = annotation::MANAGED_BY_VALUE.to_owned();
                labels.insert(annotation::MANAGED_BY.to_owned(), value);
            }
            resources.insert(object.into());
        }
        resources
    })
}

proptest! {
    #[test]
    fn joined_is_what_is_inserted_one_by_one(before in resources(), own in resources(), generated in resources()) {
        let (at_once, clashing) = Resources::joined(&own, &generated);
        let mut joined = before;
        let clashes = joined.join(&own, &generated).clashes;
        let (mut all, mut expected) = (own.clone(), Vec::new());
        for object in generated.iter() {
            match own.get(&object.reference()) {
                Some(own) if !own.is_managed() => expected.push(object.reference()),
                _ => drop(all.insert(object)),
            }
        }
        prop_assert_eq!(&joined, &all);
        prop_assert_eq!(&at_once, &all);
        prop_assert_eq!(&clashing, &clashes);
        prop_assert_eq!(clashes, expected);
        for (key, object) in &joined.config_maps {
            let source = [&own, &generated].map(|source| source.config_maps.get(key));
            prop_assert!(source.into_iter().flatten().any(|known| Arc::ptr_eq(known, object)));
        }
        let mut follower = generated.clone();
        let changes = follower.join(&joined, &Resources::default()).changes;
        prop_assert_eq!(&follower, &joined);
        for change in &changes {
            prop_assert_eq!(change.now.clone(), joined.get(&change.reference));
            prop_assert!(change.before.is_some() || change.now.is_some());
        }
        prop_assert!(follower.join(&joined, &Resources::default()).changes.is_empty());
        let again = joined.clone();
        joined.join(&own, &generated);
        let same = |object: Object| again.get(&object.reference()) == Some(object);
        prop_assert!(joined.iter().all(same));
    }
}
