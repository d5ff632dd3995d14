//! What messages do to the store, through the facade, on both databases.

use std::sync::{Arc, Barrier};

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Data, Object, Value, parse};
use interop::host::{Applied, Effect, Origin, Submission};
use interop::mapping::{Entry, Request};
use server::app::App;
use server::auth::{Action, Caller, may_all};
use server::config::Settings;
use server::cx::Cx;
use server::facade;
use server::fault::{Fault, Kind};
use server::store::Store;
use tokio::runtime::Runtime;

use crate::databases::Database;

on_both_databases!(
    links_lead_to_what_is_stored,
    a_message_says_only_what_it_knows,
    the_same_message_twice_changes_nothing,
    what_is_wrong_is_told_at_once_and_nothing_is_written,
    who_is_meant_must_be_one,
    what_goes_along_is_written_with_it_or_not_at_all,
    one_of_many_messages_makes_the_patient,
    what_comes_late_overwrites_nothing,
    results_go_on_and_not_back,
    it_is_kept_who_said_what,
    a_reference_by_criteria_needs_no_entry_of_its_type,
    what_would_change_is_told_and_not_done,
);

/// A server without its doors: neither HTTP nor MLLP.
pub(crate) struct World {
    pub(crate) app: Arc<App>,
}

impl World {
    pub(crate) fn open(database: &Database) -> Self {
        Self::open_with(database, false)
    }

    pub(crate) fn open_with(database: &Database, provenance: bool) -> Self {
        let settings = Settings {
            database: Some(database.url.parse().unwrap()),
            provenance: Some(provenance),
            ..Settings::default()
        };
        let config = settings.resolve().unwrap();
        let definitions = Arc::new(Definitions::r4().with_packages(Vec::new()).0);
        let registry = config.outside.registry(Arc::clone(&definitions));
        let store = Store::open_to_serve(&config.database, &config.limits, &registry).unwrap();
        Self {
            app: Arc::new(App::new(store, definitions, &config)),
        }
    }

    pub(crate) fn cx(&self) -> Cx {
        Cx {
            app: Arc::clone(&self.app),
            caller: Caller::Open,
            now: (self.app.clock)(),
        }
    }

    pub(crate) fn apply(&self, submission: Submission) -> Result<Applied, Fault> {
        let cx = self.cx();
        let applied = facade::apply(&cx, submission, &[], |_, _| Ok(()));
        runtime().block_on(applied).map(|(applied, ())| applied)
    }

    /// As it is stored.
    pub(crate) fn read(&self, resource_type: &'static str, id: &str) -> Value {
        let permit = may_all(&Caller::Open, [Action::Read(resource_type)]).unwrap();
        let found = self.app.store.find(&permit, resource_type, id, None);
        let found = runtime().block_on(found).unwrap().unwrap();
        parse(&found.body).unwrap()
    }

    pub(crate) fn count(&self, database: &Database) -> i64 {
        let _open = &self.app;
        database.number("SELECT count(*) FROM versions")
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn object(text: &str) -> Object {
    match parse(text.replace('\'', "\"").as_bytes()).unwrap().data {
        Data::Object(object) => object,
        _ => panic!("expected an object"),
    }
}

pub(crate) fn entry(url: &str, resource: &str, request: Request) -> Entry {
    Entry::new(url, object(resource), request)
}

pub(crate) fn put(query: &str) -> Request {
    Request::Put(query.to_owned())
}

/// A patient with this number, and what else is said of it.
pub(crate) fn patient(number: &str, more: &str) -> Entry {
    let resource = format!(
        "{{'resourceType':'Patient','identifier':[{{'system':'urn:mrn','value':'{number}'}}]{more}}}"
    );
    let query = format!("Patient?identifier=urn%3Amrn%7C{number}");
    entry(&format!("urn:uuid:{number}"), &resource, put(&query))
}

pub(crate) fn submission(entries: Vec<Entry>) -> Submission {
    Submission {
        entries,
        issues: Vec::new(),
        origin: Origin::default(),
    }
}

/// What was so at that second.
pub(crate) fn at(second: i64, entries: Vec<Entry>) -> Submission {
    Submission {
        origin: Origin {
            event_time_us: Some(second * 1_000_000),
            ..Origin::default()
        },
        ..submission(entries)
    }
}

pub(crate) fn effects(applied: &Applied) -> Vec<(&str, Effect, u64)> {
    let touched = applied.touched.iter();
    touched
        .map(|touched| (&*touched.resource_type, touched.effect, touched.version))
        .collect()
}

fn links_lead_to_what_is_stored(database: &Database) {
    let world = World::open(database);
    let visit = entry(
        "urn:uuid:v",
        "{'resourceType':'Encounter','identifier':[{'system':'urn:visit','value':'7'}],'status':'in-progress',
          'class':{'code':'IMP'},'subject':{'reference':'urn:uuid:1'}}",
        put("Encounter?identifier=urn:visit|7&subject=urn:uuid:1"),
    );
    let note = entry(
        "urn:uuid:n",
        "{'resourceType':'Basic','code':{'text':'x'},'subject':{'reference':'Patient?identifier=urn:mrn|1'}}",
        Request::PostUnless("code:missing=true".to_owned()),
    );
    let applied = world
        .apply(submission(vec![visit.clone(), patient("1", "")]))
        .unwrap();
    let created = [
        ("Encounter", Effect::Created, 1),
        ("Patient", Effect::Created, 1),
    ];
    assert_eq!(effects(&applied), created);
    let [visited, person] = applied.touched.as_slice() else {
        panic!("{applied:?}");
    };
    let subject = |kind: &'static str, id: &str| {
        let stored = world.read(kind, id);
        let subject = stored.get("subject").unwrap();
        subject.str_of("reference").unwrap().to_owned()
    };
    let address = format!("Patient/{}", person.id);
    assert_eq!(subject("Encounter", &visited.id), address);
    // Found again, and what is there stays.
    let again = world
        .apply(submission(vec![visit, patient("1", ""), note]))
        .unwrap();
    assert_eq!(
        effects(&again),
        [
            ("Encounter", Effect::Unchanged, 1),
            ("Patient", Effect::Unchanged, 1),
            ("Basic", Effect::Created, 1)
        ]
    );
    assert_eq!(subject("Basic", &again.touched[2].id), address);
}

fn a_message_says_only_what_it_knows(database: &Database) {
    let world = World::open(database);
    let said = ",'gender':'male','birthDate':'1970-01-02','name':[{'use':'official','family':'A'}]";
    let id = world
        .apply(submission(vec![patient("1", said)]))
        .unwrap()
        .touched[0]
        .id
        .clone();
    let mut less = patient("1", ",'name':[{'use':'official','family':'B'}]");
    less.deletes.push("gender".into());
    let applied = world.apply(submission(vec![less])).unwrap();
    assert_eq!(effects(&applied), [("Patient", Effect::Updated, 2)]);
    let stored = world.read("Patient", &id);
    assert_eq!(stored.str_of("birthDate"), Some("1970-01-02"));
    assert_eq!(stored.get("gender"), None);
    assert_eq!(stored.items_of("name")[0].str_of("family"), Some("B"));
}

fn the_same_message_twice_changes_nothing(database: &Database) {
    let world = World::open(database);
    let said = || {
        // Two entries that speak of the same patient are one.
        let more = patient("1", ",'gender':'male'");
        let mut other = patient("1", ",'birthDate':'1970'");
        other.full_url = "urn:uuid:other".into();
        let report = entry(
            "urn:uuid:r",
            "{'resourceType':'Basic','code':{'text':'x'},'identifier':[{'value':'b'}],'subject':{'reference':'urn:uuid:other'}}",
            put("Basic?identifier=b"),
        );
        submission(vec![more, other, report])
    };
    let first = world.apply(said()).unwrap();
    assert_eq!(first.touched.len(), 2);
    let versions = world.count(database);
    let second = world.apply(said()).unwrap();
    assert!(
        second
            .touched
            .iter()
            .all(|touched| touched.effect == Effect::Unchanged)
    );
    assert_eq!(world.count(database), versions);
}

fn what_is_wrong_is_told_at_once_and_nothing_is_written(database: &Database) {
    let world = World::open(database);
    let wrong = |number: &str| patient(number, ",'gender':'neither','birthDate':'soon'");
    let refused = world
        .apply(submission(vec![
            patient("1", ""),
            wrong("2"),
            wrong("3"),
            entry("urn:uuid:e", "{'resourceType':'Basic','code':{'text':'x'},'subject':{'reference':'Patient?identifier=nobody'}}", Request::Post),
        ]))
        .unwrap_err();
    assert_eq!(refused.kind, Kind::Unprocessable);
    assert_eq!(refused.issues.len(), 5, "{:?}", refused.issues);
    let unknown = entry("urn:uuid:u", "{'resourceType':'Elephant'}", Request::Post);
    assert_eq!(
        world.apply(submission(vec![unknown])).unwrap_err().kind,
        Kind::Unprocessable
    );
    assert_eq!(world.count(database), 0);
}

fn who_is_meant_must_be_one(database: &Database) {
    let world = World::open(database);
    let twin = |url: &str| {
        let resource = "{'resourceType':'Patient','identifier':[{'system':'urn:mrn','value':'1'}]}";
        entry(url, resource, Request::Post)
    };
    world
        .apply(submission(vec![twin("urn:uuid:a"), twin("urn:uuid:b")]))
        .unwrap();
    let refused = world.apply(submission(vec![patient("1", "")])).unwrap_err();
    let told = &refused.issues[0].diagnostics;
    assert!(told.contains("identifier=urn:mrn|1"), "{told}");
    assert_eq!(world.count(database), 2);
}

fn what_goes_along_is_written_with_it_or_not_at_all(database: &Database) {
    let world = World::open(database);
    let cx = world.cx();
    let refusing = facade::apply(
        &cx,
        submission(vec![patient("1", "")]),
        &[],
        |_, applied| {
            assert_eq!(effects(applied), [("Patient", Effect::Created, 1)]);
            Err::<(), _>(Fault::new(Kind::Conflict, "no"))
        },
    );
    let fault = runtime().block_on(refusing).unwrap_err();
    assert_eq!(fault.kind, Kind::Conflict);
    assert_eq!(world.count(database), 0);
}

fn one_of_many_messages_makes_the_patient(database: &Database) {
    const SENDERS: usize = 16;
    // Two nodes on one database.
    let nodes = [World::open(database), World::open(database)];
    let start = Barrier::new(SENDERS);
    let applied: Vec<Applied> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|number| {
                let (world, start) = (&nodes[number % nodes.len()], &start);
                scope.spawn(move || {
                    start.wait();
                    let more = format!(",'telecom':[{{'system':'phone','use':'home','value':'{number}'}},{{'system':'other','value':'x'}}]");
                    world.apply(submission(vec![patient("1", &more)])).unwrap()
                })
            })
            .collect();
        let applied = senders.into_iter().map(|sender| sender.join().unwrap());
        applied.collect()
    });
    let touched: Vec<_> = applied
        .iter()
        .flat_map(|applied| &applied.touched)
        .collect();
    let created = touched
        .iter()
        .filter(|touched| touched.effect == Effect::Created);
    assert_eq!(created.count(), 1);
    assert!(touched.iter().all(|one| one.id == touched[0].id));
    assert_eq!(
        database.number("SELECT count(*) FROM resources WHERE type = 'Patient'"),
        1
    );
    // Each has said something else: none was lost.
    assert_eq!(nodes[0].count(database), 16);
}

fn what_comes_late_overwrites_nothing(database: &Database) {
    let world = World::open(database);
    let say = |second, name: &str| {
        let said = patient("1", &format!(",'name':[{{'family':'{name}'}}]"));
        let applied = world.apply(at(second, vec![said])).unwrap();
        (applied.touched[0].effect, applied)
    };
    let (effect, applied) = say(100, "A");
    assert_eq!(effect, Effect::Created);
    let id = &applied.touched[0].id;
    let name = || {
        let stored = world.read("Patient", id);
        stored.items_of("name")[0]
            .str_of("family")
            .unwrap()
            .to_owned()
    };
    let (effect, applied) = say(50, "Old");
    assert_eq!((effect, name()), (Effect::Stale, "A".to_owned()));
    assert!(applied.issues[0].diagnostics.contains(id), "{applied:?}");
    assert!(!applied.issues[0].is_error());
    // Of the same moment the one that comes later holds.
    assert_eq!((say(100, "B").0, name()), (Effect::Updated, "B".to_owned()));
    // What says nothing new is news all the same.
    assert_eq!(say(200, "B").0, Effect::Unchanged);
    assert_eq!((say(150, "C").0, name()), (Effect::Stale, "B".to_owned()));
    // A clock that is ahead by a century keeps nobody from telling what is new.
    assert_eq!(say(5_000_000_000, "D").0, Effect::Updated);
    let now = (world.app.clock)().micros() / 1_000_000 + 1;
    assert_eq!(
        (say(now + 60, "E").0, name()),
        (Effect::Updated, "E".to_owned())
    );
    assert_eq!(database.number("SELECT count(*) FROM snapshots"), 1);
}

fn results_go_on_and_not_back(database: &Database) {
    let world = World::open(database);
    let say = |second, status: &str, value: &str| {
        let result = entry(
            "urn:uuid:o",
            &format!(
                "{{'resourceType':'Observation','identifier':[{{'system':'urn:lab','value':'1'}}],
                  'status':'{status}','code':{{'text':'K'}},'valueString':'{value}'}}"
            ),
            put("Observation?identifier=urn:lab|1"),
        );
        world.apply(at(second, vec![result])).unwrap().touched[0].clone()
    };
    let first = say(100, "preliminary", "1");
    assert_eq!(first.effect, Effect::Created);
    assert_eq!(say(90, "final", "2").effect, Effect::Updated);
    assert_eq!(say(300, "preliminary", "3").effect, Effect::Stale);
    assert_eq!(say(80, "corrected", "4").effect, Effect::Updated);
    assert_eq!(say(400, "final", "5").effect, Effect::Stale);
    let stored = world.read("Observation", &first.id);
    assert_eq!(stored.str_of("valueString"), Some("4"));
    assert_eq!(
        say(95, "corrected", "6").effect,
        Effect::Stale,
        "100 is later"
    );
    assert_eq!(say(500, "cancelled", "7").effect, Effect::Updated);
}

fn it_is_kept_who_said_what(database: &Database) {
    let world = World::open_with(database, true);
    let say = |gender: &str| {
        let said = patient("1", &format!(",'gender':'{gender}'"));
        let mut said = submission(vec![said]);
        said.origin.sender_application = "ADT1".to_owned();
        said.origin.message_id = "m-1".to_owned();
        world.apply(said).unwrap()
    };
    for (gender, version) in [("male", 1), ("female", 2)] {
        let applied = say(gender);
        let [person, told] = applied.touched.as_slice() else {
            panic!("{applied:?}");
        };
        assert_eq!(told.resource_type, "Provenance");
        let stored = world.read("Provenance", &told.id);
        let target = format!("Patient/{}/_history/{version}", person.id);
        assert_eq!(
            stored.items_of("target")[0].str_of("reference"),
            Some(&*target)
        );
        let text = stored.to_string();
        assert!(
            text.contains("\"ADT1\"") && text.contains("\"m-1\""),
            "{text}"
        );
    }
    let unchanged = say("female");
    assert_eq!(effects(&unchanged), [("Patient", Effect::Unchanged, 2)]);
}

fn a_reference_by_criteria_needs_no_entry_of_its_type(database: &Database) {
    let world = World::open(database);
    let person = world.apply(submission(vec![patient("1", "")])).unwrap();
    let note = entry(
        "urn:uuid:n",
        "{'resourceType':'Basic','code':{'text':'x'},'subject':{'reference':'Patient?identifier=urn:mrn|1'}}",
        Request::Post,
    );
    let applied = world.apply(submission(vec![note])).unwrap();
    let stored = world.read("Basic", &applied.touched[0].id);
    let address = format!("Patient/{}", person.touched[0].id);
    assert_eq!(
        stored.get("subject").unwrap().str_of("reference"),
        Some(&*address)
    );
}

fn what_would_change_is_told_and_not_done(database: &Database) {
    let world = World::open(database);
    world
        .apply(at(100, vec![patient("1", ",'gender':'male'")]))
        .unwrap();
    let versions = world.count(database);
    let tell = |second, gender: &str| {
        let said = vec![
            patient("1", &format!(",'gender':'{gender}'")),
            patient("2", ""),
        ];
        let cx = world.cx();
        let diff = facade::diff(&cx, at(second, said));
        runtime().block_on(diff).unwrap()
    };
    let gender = |document: &Option<Value>| {
        let document = document.as_ref().unwrap();
        document.str_of("gender").unwrap().to_owned()
    };
    let (told, issues) = tell(200, "female");
    assert!(issues.is_empty());
    assert_eq!(told[0].touched.effect, Effect::Updated);
    assert_eq!(told[0].touched.version, 2);
    assert_eq!(
        (gender(&told[0].before), gender(&told[0].after)),
        ("male".to_owned(), "female".to_owned())
    );
    assert_eq!(told[1].touched.effect, Effect::Created);
    assert!(told[1].before.is_none() && told[1].after.is_some());
    let (told, issues) = tell(50, "female");
    assert_eq!((told[0].touched.effect, issues.len()), (Effect::Stale, 1));
    assert_eq!(world.count(database), versions);
}
