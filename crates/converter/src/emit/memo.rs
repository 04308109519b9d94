//! What was written for each Ingress and each ListenerSet, for as long as what it is written from stays the same.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::Arc,
};

use api::{Object, ObjectKey, ObjectRef, Resources};

use super::{Emitter, SetPlan};
use crate::{
    Options,
    lookup::{Lookup, Read},
    merge::HostGroup,
};

/// What was written, by what it was written for.
#[derive(Default)]
pub(crate) struct Memo {
    ingresses: HashMap<ObjectKey, Unit<Vec<HostGroup>>>,
    sets: HashMap<Arc<ObjectKey>, Unit<SetPlan>>,
    gateway: Vec<(ObjectRef, Object)>,
    /// By how many units each object is written.
    writers: HashMap<ObjectRef, u32>,
    /// Counts runs; a unit that was not asked for in this one is gone.
    run: u64,
}

/// Objects that are written together. Of two with the same name the later one counts.
struct Unit<Plan> {
    plan: Plan,
    reads: Vec<Read>,
    objects: Vec<(ObjectRef, Object)>,
    run: u64,
}

/// Objects of units that changed, and what they are now.
#[derive(Default)]
struct Touched {
    now: HashMap<ObjectRef, Option<Object>>,
}

impl Memo {
    /// Brings `generated` from what it was after the last call to what is written for these groups and sets. Objects
    /// that stay the same are not replaced by equal ones.
    pub(crate) fn update(
        &mut self,
        (groups, sets): (Vec<HostGroup>, BTreeMap<Arc<ObjectKey>, SetPlan>),
        lookup: &Lookup<'_>,
        options: &Options,
        generated: &mut Resources,
    ) {
        self.run += 1;
        let mut touched = Touched::default();
        let order = self.ingresses(by_ingress(groups), lookup, options, &mut touched);
        let sets = self.sets(sets, lookup, options, &mut touched);
        let mut emitter = Emitter::new(lookup, options);
        if options.synthesize_gateway && !order.is_empty() {
            emitter.gateway();
        }
        let gateway = mem::replace(&mut self.gateway, named(emitter.made));
        touched.replace(&mut self.writers, &gateway, &self.gateway);
        self.sweep(&mut touched);
        self.settle_contested(&mut touched, &order, &sets);
        for (reference, object) in touched.now {
            match object {
                Some(object) if generated.get(&reference).as_ref() != Some(&object) => {
                    generated.insert(object);
                }
                Some(_) => {}
                None => drop(generated.remove(&reference)),
            }
        }
    }

    /// Writes what changed. Gives the Ingresses in order.
    fn ingresses(
        &mut self,
        plans: Vec<(ObjectKey, Vec<HostGroup>)>,
        lookup: &Lookup<'_>,
        options: &Options,
        touched: &mut Touched,
    ) -> Vec<ObjectKey> {
        let mut order = Vec::with_capacity(plans.len());
        for (key, plan) in plans {
            order.push(key.clone());
            let write = |plan: &Vec<HostGroup>| {
                let mut emitter = Emitter::new(lookup, options);
                for group in plan {
                    emitter.group(group);
                }
                emitter.made
            };
            let job = Job {
                lookup,
                run: self.run,
                writers: &mut self.writers,
            };
            job.unit(&mut self.ingresses, key, plan, write, touched);
        }
        order
    }

    fn sets(
        &mut self,
        plans: BTreeMap<Arc<ObjectKey>, SetPlan>,
        lookup: &Lookup<'_>,
        options: &Options,
        touched: &mut Touched,
    ) -> Vec<Arc<ObjectKey>> {
        let mut order = Vec::with_capacity(plans.len());
        for (key, plan) in plans {
            order.push(Arc::clone(&key));
            let name = Arc::clone(&key);
            let write = |plan: &SetPlan| {
                let mut emitter = Emitter::new(lookup, options);
                emitter.listener_set(&name, plan);
                emitter.made
            };
            let job = Job {
                lookup,
                run: self.run,
                writers: &mut self.writers,
            };
            job.unit(&mut self.sets, key, plan, write, touched);
        }
        order
    }

    /// Forgets what was not asked for.
    fn sweep(&mut self, touched: &mut Touched) {
        let run = self.run;
        let writers = &mut self.writers;
        self.ingresses.retain(|_, unit| {
            let stays = unit.run == run;
            if !stays {
                touched.replace(writers, &unit.objects, &[]);
            }
            stays
        });
        self.sets.retain(|_, unit| {
            let stays = unit.run == run;
            if !stays {
                touched.replace(writers, &unit.objects, &[]);
            }
            stays
        });
    }

    /// Of an object that several units write, the one of the last unit counts. That takes different names with the same
    /// hash, so it may cost a walk over everything.
    fn settle_contested(
        &self,
        touched: &mut Touched,
        order: &[ObjectKey],
        sets: &[Arc<ObjectKey>],
    ) {
        let writers = |reference: &ObjectRef| self.writers.get(reference).map_or(0, |count| *count);
        let settled = |(reference, object): (&ObjectRef, &Option<Object>)| {
            writers(reference) == u32::from(object.is_some())
        };
        if touched.now.iter().all(settled) {
            return;
        }
        let units = order
            .iter()
            .filter_map(|key| self.ingresses.get(key))
            .map(|unit| &unit.objects)
            .chain(
                sets.iter()
                    .filter_map(|key| self.sets.get(key))
                    .map(|unit| &unit.objects),
            )
            .chain([&self.gateway]);
        for (reference, object) in units.flatten() {
            if let Some(now) = touched.now.get_mut(reference) {
                *now = Some(object.clone());
            }
        }
    }
}

/// The making of one unit.
struct Job<'a> {
    lookup: &'a Lookup<'a>,
    run: u64,
    writers: &'a mut HashMap<ObjectRef, u32>,
}

impl Job<'_> {
    fn unit<Key: Eq + std::hash::Hash, Plan: PartialEq>(
        self,
        units: &mut HashMap<Key, Unit<Plan>>,
        key: Key,
        plan: Plan,
        write: impl FnOnce(&Plan) -> Vec<Object>,
        touched: &mut Touched,
    ) {
        if let Some(unit) = units.get_mut(&key)
            && unit.plan == plan
            && unit.reads.iter().all(|read| self.lookup.still(read))
        {
            unit.run = self.run;
            return;
        }
        self.lookup.take_reads();
        let objects = named(write(&plan));
        let unit = Unit {
            plan,
            reads: self.lookup.take_reads(),
            objects,
            run: self.run,
        };
        let before = units.get(&key).map_or(&[][..], |before| &before.objects);
        touched.replace(self.writers, before, &unit.objects);
        units.insert(key, unit);
    }
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
