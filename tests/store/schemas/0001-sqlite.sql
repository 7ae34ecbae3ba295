CREATE TABLE audit (
	id INTEGER NOT NULL,
	at DATETIME NOT NULL,
	actor VARCHAR(64) NOT NULL,
	action VARCHAR(40) NOT NULL,
	topic VARCHAR(64),
	result VARCHAR(40) NOT NULL,
	detail JSON,
	CONSTRAINT pk_audit PRIMARY KEY (id)
);

CREATE INDEX ix_audit_topic ON audit (topic);

CREATE TABLE catalogues (
	list VARCHAR(20) NOT NULL,
	author VARCHAR(6) NOT NULL,
	version BIGINT NOT NULL,
	rank INTEGER NOT NULL,
	statement VARCHAR(64),
	digest VARCHAR(64) NOT NULL,
	at DATETIME NOT NULL,
	CONSTRAINT pk_catalogues PRIMARY KEY (list, author, version)
);

CREATE TABLE challenges (
	id INTEGER NOT NULL,
	nonce VARCHAR(32) NOT NULL,
	peer VARCHAR(6) NOT NULL,
	session VARCHAR(32) NOT NULL,
	at DATETIME NOT NULL,
	CONSTRAINT pk_challenges PRIMARY KEY (id),
	CONSTRAINT uq_challenges_nonce UNIQUE (nonce)
);

CREATE INDEX ix_challenges_peer ON challenges (peer);

CREATE TABLE equivocations (
	kept VARCHAR(64) NOT NULL,
	other VARCHAR(64) NOT NULL,
	author VARCHAR(6) NOT NULL,
	inc VARCHAR(64) NOT NULL,
	topic VARCHAR(64),
	at DATETIME NOT NULL,
	CONSTRAINT pk_equivocations PRIMARY KEY (kept, other)
);

CREATE TABLE guard (
	only INTEGER NOT NULL,
	confirmed VARCHAR(32) NOT NULL,
	pending VARCHAR(32),
	CONSTRAINT pk_guard PRIMARY KEY (only)
);

CREATE TABLE idempotency (
	user_id INTEGER NOT NULL,
	"key" VARCHAR(255) NOT NULL,
	fingerprint VARCHAR(64) NOT NULL,
	status INTEGER NOT NULL,
	answer BLOB NOT NULL,
	at DATETIME NOT NULL,
	CONSTRAINT pk_idempotency PRIMARY KEY (user_id, "key")
);

CREATE TABLE imported (
	mark VARCHAR(64) NOT NULL,
	topic VARCHAR(64) NOT NULL,
	CONSTRAINT pk_imported PRIMARY KEY (mark)
);

CREATE TABLE instances (
	only INTEGER NOT NULL,
	instance VARCHAR(32) NOT NULL,
	at DATETIME NOT NULL,
	CONSTRAINT pk_instances PRIMARY KEY (only)
);

CREATE TABLE invitations (
	secret_hash VARCHAR(64) NOT NULL,
	code VARCHAR(6) NOT NULL,
	name VARCHAR(120) NOT NULL,
	tier VARCHAR(8) NOT NULL,
	at DATETIME NOT NULL,
	used_by VARCHAR(43),
	answer BLOB,
	CONSTRAINT pk_invitations PRIMARY KEY (secret_hash)
);

CREATE TABLE links (
	peer VARCHAR(6) NOT NULL,
	relation VARCHAR(6) NOT NULL,
	url VARCHAR(200) NOT NULL,
	sent_seq BIGINT NOT NULL,
	sent_hash VARCHAR(64) NOT NULL,
	acked_seq BIGINT NOT NULL,
	acked_hash VARCHAR(64) NOT NULL,
	received_inc VARCHAR(64) NOT NULL,
	received_seq BIGINT NOT NULL,
	received_hash VARCHAR(64) NOT NULL,
	stopped VARCHAR(40),
	last_contact_at DATETIME,
	next_try_at DATETIME,
	failures INTEGER NOT NULL,
	CONSTRAINT pk_links PRIMARY KEY (peer)
);

CREATE TABLE node (
	code VARCHAR(6) NOT NULL,
	name VARCHAR(120) NOT NULL,
	tier VARCHAR(8) NOT NULL,
	url VARCHAR(200) NOT NULL,
	kid VARCHAR(43) NOT NULL,
	parent VARCHAR(6),
	parent_url VARCHAR(200),
	anchor VARCHAR(64),
	inc_number INTEGER NOT NULL,
	inc_nonce VARCHAR(32) NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_node PRIMARY KEY (code)
);

CREATE TABLE numbers (
	year INTEGER NOT NULL,
	last INTEGER NOT NULL,
	CONSTRAINT pk_numbers PRIMARY KEY (year)
);

CREATE TABLE parked (
	id INTEGER NOT NULL,
	peer VARCHAR(6) NOT NULL,
	inc VARCHAR(64) NOT NULL,
	stream_seq BIGINT NOT NULL,
	raw BLOB NOT NULL,
	statement VARCHAR(64) NOT NULL,
	topic VARCHAR(64),
	disposition VARCHAR(10) NOT NULL,
	code VARCHAR(40) NOT NULL,
	state VARCHAR(10) NOT NULL,
	relayed BOOLEAN NOT NULL,
	at DATETIME NOT NULL,
	CONSTRAINT pk_parked PRIMARY KEY (id),
	CONSTRAINT uq_parked_peer_inc_stream_seq UNIQUE (peer, inc, stream_seq)
);

CREATE INDEX ix_parked_state ON parked (state, code);

CREATE INDEX ix_parked_topic ON parked (topic, state);

CREATE TABLE part_chunks (
	peer VARCHAR(6) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	"offset" INTEGER NOT NULL,
	data BLOB NOT NULL,
	CONSTRAINT pk_part_chunks PRIMARY KEY (peer, digest, "offset")
);

CREATE TABLE parts (
	digest VARCHAR(64) NOT NULL,
	salt VARCHAR(32) NOT NULL,
	content BLOB,
	at DATETIME NOT NULL,
	CONSTRAINT pk_parts PRIMARY KEY (digest)
);

CREATE TABLE statements (
	pos INTEGER NOT NULL,
	id VARCHAR(64) NOT NULL,
	raw BLOB NOT NULL,
	typ VARCHAR(40) NOT NULL,
	author VARCHAR(6) NOT NULL,
	at DATETIME NOT NULL,
	source VARCHAR(6),
	CONSTRAINT pk_statements PRIMARY KEY (pos),
	CONSTRAINT uq_statements_id UNIQUE (id)
);

CREATE TABLE topic_places (
	topic VARCHAR(64) NOT NULL,
	found JSON NOT NULL,
	CONSTRAINT pk_topic_places PRIMARY KEY (topic)
);

CREATE TABLE topics (
	id VARCHAR(64) NOT NULL,
	number VARCHAR(120) NOT NULL,
	title VARCHAR(300) NOT NULL,
	text TEXT,
	kind VARCHAR(120) NOT NULL,
	category VARCHAR(120),
	source VARCHAR(120),
	external_id VARCHAR(120),
	status VARCHAR(8) NOT NULL,
	step VARCHAR(12) NOT NULL,
	origin VARCHAR(6) NOT NULL,
	custodian VARCHAR(6) NOT NULL,
	offered_to VARCHAR(6),
	mine BOOLEAN NOT NULL,
	seq BIGINT NOT NULL,
	head VARCHAR(64) NOT NULL,
	parent_entry VARCHAR(64),
	parent_n INTEGER,
	outcome VARCHAR(1),
	answer_by DATETIME,
	due_at DATETIME,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	seen_at DATETIME NOT NULL,
	custody TEXT NOT NULL,
	work TEXT NOT NULL,
	CONSTRAINT pk_topics PRIMARY KEY (id)
);

CREATE INDEX ix_topics_custodian ON topics (custodian, status);

CREATE INDEX ix_topics_due_at ON topics (due_at);

CREATE INDEX ix_topics_list ON topics (mine, updated_at, id);

CREATE INDEX ix_topics_offered_to ON topics (offered_to);

CREATE INDEX ix_topics_parent_entry ON topics (parent_entry, parent_n);

CREATE TABLE users (
	id INTEGER NOT NULL,
	name VARCHAR(64) NOT NULL,
	password_hash VARCHAR(200) NOT NULL,
	roles JSON NOT NULL,
	active BOOLEAN NOT NULL,
	failures INTEGER DEFAULT 0 NOT NULL,
	locked_until DATETIME,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_users PRIMARY KEY (id),
	CONSTRAINT uq_users_name UNIQUE (name)
);

CREATE TABLE wanted_parts (
	peer VARCHAR(6) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	size INTEGER NOT NULL,
	salt VARCHAR(32),
	got INTEGER NOT NULL,
	CONSTRAINT pk_wanted_parts PRIMARY KEY (peer, digest)
);

CREATE TABLE entries (
	id VARCHAR(64) NOT NULL,
	topic VARCHAR(64) NOT NULL,
	seq BIGINT NOT NULL,
	term VARCHAR(120) NOT NULL,
	kind VARCHAR(32) NOT NULL,
	author VARCHAR(6) NOT NULL,
	CONSTRAINT pk_entries PRIMARY KEY (id),
	CONSTRAINT uq_entries_topic_term_seq UNIQUE (topic, term, seq),
	CONSTRAINT fk_entries_id FOREIGN KEY(id) REFERENCES statements (id)
);

CREATE TABLE outbox (
	peer VARCHAR(6) NOT NULL,
	seq BIGINT NOT NULL,
	statement VARCHAR(64) NOT NULL,
	hash VARCHAR(64) NOT NULL,
	at DATETIME NOT NULL,
	CONSTRAINT pk_outbox PRIMARY KEY (peer, seq),
	CONSTRAINT fk_outbox_peer FOREIGN KEY(peer) REFERENCES links (peer),
	CONSTRAINT fk_outbox_statement FOREIGN KEY(statement) REFERENCES statements (id)
);

CREATE INDEX ix_outbox_statement ON outbox (statement);

CREATE TABLE part_refs (
	statement VARCHAR(64) NOT NULL,
	name VARCHAR(64) NOT NULL,
	topic VARCHAR(64),
	digest VARCHAR(64) NOT NULL,
	size INTEGER NOT NULL,
	media VARCHAR(120) NOT NULL,
	share VARCHAR(8) NOT NULL,
	CONSTRAINT pk_part_refs PRIMARY KEY (statement, name),
	CONSTRAINT fk_part_refs_statement FOREIGN KEY(statement) REFERENCES statements (id)
);

CREATE INDEX ix_part_refs_digest ON part_refs (digest);

CREATE INDEX ix_part_refs_topic ON part_refs (topic);

CREATE TABLE registry (
	id VARCHAR(64) NOT NULL,
	author VARCHAR(6) NOT NULL,
	inc VARCHAR(64) NOT NULL,
	seq BIGINT NOT NULL,
	kind VARCHAR(32) NOT NULL,
	CONSTRAINT pk_registry PRIMARY KEY (id),
	CONSTRAINT uq_registry_author_inc_seq UNIQUE (author, inc, seq),
	CONSTRAINT fk_registry_id FOREIGN KEY(id) REFERENCES statements (id)
);

CREATE TABLE remarks (
	id VARCHAR(64) NOT NULL,
	topic VARCHAR(64) NOT NULL,
	entry VARCHAR(64) NOT NULL,
	kind VARCHAR(32) NOT NULL,
	author VARCHAR(6) NOT NULL,
	inc VARCHAR(64) NOT NULL,
	at DATETIME NOT NULL,
	CONSTRAINT pk_remarks PRIMARY KEY (id),
	CONSTRAINT fk_remarks_id FOREIGN KEY(id) REFERENCES statements (id)
);

CREATE INDEX ix_remarks_entry ON remarks (entry);

CREATE INDEX ix_remarks_topic ON remarks (topic);

CREATE TABLE sessions (
	token_hash VARCHAR(64) NOT NULL,
	user_id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	used_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	CONSTRAINT pk_sessions PRIMARY KEY (token_hash),
	CONSTRAINT fk_sessions_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE topic_areas (
	topic VARCHAR(64) NOT NULL,
	area VARCHAR(12) NOT NULL,
	own BOOLEAN NOT NULL,
	CONSTRAINT pk_topic_areas PRIMARY KEY (topic, area),
	CONSTRAINT fk_topic_areas_topic FOREIGN KEY(topic) REFERENCES topics (id) ON DELETE CASCADE
);

CREATE INDEX ix_topic_areas_area ON topic_areas (area, topic);

CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);

INSERT INTO alembic_version (version_num) VALUES ('0001');
