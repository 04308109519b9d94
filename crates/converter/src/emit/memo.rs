//! What was written for each Ingress and each ListenerSet, for as long as what it is written from stays the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
    sync::Arc,
};

use api::{Object, ObjectKey, ObjectRef, Resources, gateway::ListenerSet};
use foldhash::{HashMap, HashMapExt as _};

use super::{Emitter, SetPlan, listener, listener_name};
use crate::{Options, effect::Written, ingress::Source, lookup::Lookup, merge::HostGroup};

/// What was written, by what it was written for.
#[derive(Default)]
pub(crate) struct Memo {
    ingresses: HashMap<ObjectKey, Unit<Vec<HostGroup>>>,
    sets: HashMap<Arc<ObjectKey>, Unit<SetPlan>>,
    gateway: Vec<(ObjectRef, Object)>,
    /// By how many units each object is written.
    writers: HashMap<ObjectRef, u32>,
}

/// Objects that are written together. Of two with the same name the later one counts.
struct Unit<Plan> {
    plan: Plan,
    objects: Vec<(ObjectRef, Object)>,
}

/// What is to be written.
pub(crate) struct Plans {
    /// Ingresses for which nothing else is to be written than this.
    pub(crate) concerned: BTreeSet<ObjectKey>,
    pub(crate) groups: Vec<HostGroup>,
    pub(crate) sets: BTreeMap<Arc<ObjectKey>, SetPlan>,
}

/// Objects of units that changed, and what they are now.
#[derive(Default)]
struct Touched {
    now: HashMap<ObjectRef, Option<Object>>,
}

impl Memo {
    /// Brings `generated` from what it was after the last call to what is to be written now. Objects that stay the same
    /// are not replaced by equal ones.
    pub(crate) fn update(
        &mut self,
        plans: Plans,
        (lookup, options): (&Lookup<'_>, &Options),
        generated: &mut Resources,
    ) {
        let mut touched = Touched::default();
        let writers = &mut self.writers;
        let mut concerned = plans.concerned;
        self.sets.retain(|key, unit| {
            let stays =
                plans.sets.contains_key(key) || !concerned.contains(&unit.plan.owner.ingress);
            if !stays {
                touched.replace(writers, &unit.objects, &[]);
            }
            stays
        });
        for (key, plan) in by_ingress(plans.groups) {
            concerned.remove(&key);
            let write = |plan: &Vec<HostGroup>| {
                let mut emitter = Emitter::new(lookup, options);
                for group in plan {
                    emitter.group(group);
                }
                emitter.made
            };
            unit(
                &mut self.ingresses,
                (key, plan),
                write,
                (writers, &mut touched),
            );
        }
        // Nothing is to be written for those that are left.
        for key in concerned {
            if let Some(unit) = self.ingresses.remove(&key) {
                touched.replace(writers, &unit.objects, &[]);
            }
        }
        for (key, plan) in plans.sets {
            let name = Arc::clone(&key);
            let write = |plan: &SetPlan| {
                let mut emitter = Emitter::new(lookup, options);
                emitter.listener_set(&name, plan);
                emitter.made
            };
            unit(&mut self.sets, (key, plan), write, (writers, &mut touched));
        }
        self.gateway((lookup, options), &mut touched);
        self.settle_contested(&mut touched);
        touched.apply(generated);
    }

    /// What is written for an Ingress; of a canary, what is written for its `bases`.
    pub(crate) fn written<'a>(&'a self, source: &'a Source, bases: &[ObjectKey]) -> Written<'a> {
        let units = bases.iter().filter_map(|base| self.ingresses.get(base));
        let units: Vec<_> = units.collect();
        let groups: Vec<&HostGroup> = units.iter().flat_map(|unit| &unit.plan).collect();
        let clients = groups.iter().filter_map(|group| {
            let set = self.sets.get(group.listener_set.as_ref()?)?;
            let listener = listener_name(&group.host);
            set.objects.iter().find_map(|(_, object)| match object {
                Object::ClientPolicy(policy) => {
                    let mut targets = policy.spec.target_refs.iter();
                    let meant = targets.any(|t| t.section_name.as_ref() == Some(&listener));
                    policy.spec.tls.as_ref().filter(|_| meant)
                }
                _ => None,
            })
        });
        let clients = clients.collect();
        let objects = units.iter().flat_map(|unit| &unit.objects);
        Written {
            source,
            objects: objects.map(|(_, object)| object).collect(),
            groups,
            clients,
        }
    }

    /// [`Memo::update`], where no Ingress has changed.
    pub(crate) fn update_gateway(
        &mut self,
        (lookup, options): (&Lookup<'_>, &Options),
        generated: &mut Resources,
    ) {
        let mut touched = Touched::default();
        self.gateway((lookup, options), &mut touched);
        self.settle_contested(&mut touched);
        touched.apply(generated);
    }

    /// The Gateway, and its class, where routes hang on it.
    fn gateway(&mut self, (lookup, options): (&Lookup<'_>, &Options), touched: &mut Touched) {
        let mut emitter = Emitter::new(lookup, options);
        if options.synthesize_gateway && !self.ingresses.is_empty() {
            emitter.gateway();
        }
        let has_https = |group: &HostGroup| group.source.profile.every_host_has_https();
        let mut units = self.ingresses.values();
        if units.any(|unit| unit.plan.iter().any(has_https)) {
            // Two listeners for any host would be a conflict.
            if !self.sets.values().any(|set| set.plan.is_for_any_host()) {
                emitter.any_host();
            }
            emitter.stand_in();
        } else if lookup
            .get::<ListenerSet>(&listener::any_host(options).set)
            .is_some()
        {
            // What was converted before refers to it as well.
            emitter.stand_in();
        }
        let made = named(emitter.made);
        if made != self.gateway {
            touched.replace(&mut self.writers, &self.gateway, &made);
            self.gateway = made;
        }
    }

    /// Of an object that several units write, the one of the last unit counts: of the newest Ingress, and of a
    /// ListenerSet before all Ingresses. That takes different names with the same hash, so it may cost a walk over
    /// everything.
    fn settle_contested(&self, touched: &mut Touched) {
        let writers = |reference: &ObjectRef| self.writers.get(reference).map_or(0, |count| *count);
        let settled = |(reference, object): (&ObjectRef, &Option<Object>)| {
            writers(reference) == u32::from(object.is_some())
        };
        if touched.now.iter().all(settled) {
            return;
        }
        let mut ingresses: Vec<_> = self.ingresses.values().collect();
        let source = |unit: &Unit<Vec<HostGroup>>| {
            let first = unit.plan.first();
            first.map(|group| Arc::clone(&group.source))
        };
        ingresses.sort_by(|a, b| {
            let (a, b) = (source(a), source(b));
            a.as_deref()
                .map(Source::order)
                .cmp(&b.as_deref().map(Source::order))
        });
        let mut sets: Vec<_> = self.sets.iter().collect();
        sets.sort_by_key(|(key, _)| *key);
        let units = ingresses.into_iter().map(|unit| &unit.objects);
        let units = units
            .chain(sets.into_iter().map(|(_, unit)| &unit.objects))
            .chain([&self.gateway]);
        for (reference, object) in units.flatten() {
            if let Some(now) = touched.now.get_mut(reference) {
                *now = Some(object.clone());
            }
        }
    }
}

/// Writes the objects of a plan, unless they are written.
fn unit<Key: Eq + Hash, Plan: PartialEq>(
    units: &mut HashMap<Key, Unit<Plan>>,
    (key, plan): (Key, Plan),
    write: impl FnOnce(&Plan) -> Vec<Object>,
    (writers, touched): (&mut HashMap<ObjectRef, u32>, &mut Touched),
) {
    let before = units.get(&key);
    if before.is_some_and(|before| before.plan == plan) {
        return;
    }
    let objects = named(write(&plan));
    let before = before.map_or(&[][..], |before| &before.objects);
    touched.replace(writers, before, &objects);
    units.insert(key, Unit { plan, objects });
}

impl Touched {
    /// What a unit wrote is replaced by what it writes now.
    fn replace(
        &mut self,
        writers: &mut HashMap<ObjectRef, u32>,
        before: &[(ObjectRef, Object)],
        now: &[(ObjectRef, Object)],
    ) {
        for (reference, _) in before {
            if let Some(count) = writers.get_mut(reference) {
                *count -= 1;
                if *count == 0 {
                    writers.remove(reference);
                }
            }
            self.now.insert(reference.clone(), None);
        }
        for (reference, object) in now {
            *writers.entry(reference.clone()).or_default() += 1;
            self.now.insert(reference.clone(), Some(object.clone()));
        }
    }

    fn apply(self, generated: &mut Resources) {
        for (reference, object) in self.now {
            match object {
                Some(object) if generated.get(&reference).as_ref() != Some(&object) => {
                    generated.insert(object);
                }
                Some(_) => {}
                None => drop(generated.remove(&reference)),
            }
        }
    }
}

/// In order of first mention; the groups of an Ingress together.
fn by_ingress(groups: Vec<HostGroup>) -> Vec<(ObjectKey, Vec<HostGroup>)> {
    let mut places: HashMap<ObjectKey, usize> = HashMap::with_capacity(groups.len());
    let mut all: Vec<(ObjectKey, Vec<HostGroup>)> = Vec::with_capacity(groups.len());
    for group in groups {
        let key = &group.source.object.key;
        match places.get(key) {
            Some(at) => all[*at].1.push(group),
            None => {
                places.insert(key.clone(), all.len());
                all.push((key.clone(), vec![group]));
            }
        }
    }
    all
}

/// Objects with their names, each name once.
fn named(objects: Vec<Object>) -> Vec<(ObjectRef, Object)> {
    let mut named: Vec<(ObjectRef, Object)> = Vec::with_capacity(objects.len());
    for object in objects {
        let reference = object.reference();
        match named.iter_mut().find(|(known, _)| *known == reference) {
            Some((_, known)) => *known = object,
            None => named.push((reference, object)),
        }
    }
    named
}
