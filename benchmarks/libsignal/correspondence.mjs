// Two correspondents of libsignal (PQXDH, then the triple ratchet), led by JSON lines on stdin, answered on stdout.
//
// {do: "seal", by, text}       -> {sealed}             the sender's session and the message are durable before the answer
// {do: "open", by, sealed}     -> {text} or {error}
// {do: "backup" | "restore", by}                       what a disk holds, kept and put back
// {do: "messages", count, text, durable} -> {seconds, bytes}    whole messages, in turn in both directions
//
// `by` is 0 or 1; texts and messages are in base64.

import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import * as signal from "@signalapp/libsignal-client";

const NAMES = ["9d0652a3-dcc3-4d11-975f-74d61598733f", "796abedb-ca4e-4f18-8803-1fde5b921f9f"];
const address = (who) => signal.ProtocolAddress.new(NAMES[who], 1);
const base64 = (bytes) => Buffer.from(bytes).toString("base64");

// Records as a disk would hold them: serialised, by name.
class Records {
  constructor() {
    this.kept = new Map();
  }
  put(name, record) {
    this.kept.set(name, record.serialize());
  }
  get(name, kind) {
    const found = this.kept.get(name);
    return found ? kind.deserialize(found) : null;
  }
}

class Sessions extends signal.SessionStore {
  constructor(records) {
    super();
    this.records = records;
  }
  async saveSession(name, record) {
    this.records.put(`session ${name.name()}`, record);
  }
  async getSession(name) {
    return this.records.get(`session ${name.name()}`, signal.SessionRecord);
  }
  async getExistingSessions(names) {
    return Promise.all(names.map((name) => this.getSession(name)));
  }
}

class Identities extends signal.IdentityKeyStore {
  constructor(key, registration) {
    super();
    Object.assign(this, { key, registration, known: new Map() });
  }
  async getIdentityKey() {
    return this.key;
  }
  async getLocalRegistrationId() {
    return this.registration;
  }
  async saveIdentity(name, key) {
    this.known.set(name.name(), key);
    return signal.IdentityChange.NewOrUnchanged;
  }
  async isTrustedIdentity() {
    return true;
  }
  async getIdentity(name) {
    return this.known.get(name.name()) ?? null;
  }
}

class PreKeys extends signal.PreKeyStore {
  constructor(records) {
    super();
    this.records = records;
  }
  async savePreKey(id, record) {
    this.records.put(`prekey ${id}`, record);
  }
  async getPreKey(id) {
    return this.records.get(`prekey ${id}`, signal.PreKeyRecord);
  }
  async removePreKey(id) {
    this.records.kept.delete(`prekey ${id}`);
  }
}

class SignedPreKeys extends signal.SignedPreKeyStore {
  constructor(records) {
    super();
    this.records = records;
  }
  async saveSignedPreKey(id, record) {
    this.records.put(`signed ${id}`, record);
  }
  async getSignedPreKey(id) {
    return this.records.get(`signed ${id}`, signal.SignedPreKeyRecord);
  }
}

class KyberPreKeys extends signal.KyberPreKeyStore {
  constructor(records) {
    super();
    this.records = records;
  }
  async saveKyberPreKey(id, record) {
    this.records.put(`kyber ${id}`, record);
  }
  async getKyberPreKey(id) {
    return this.records.get(`kyber ${id}`, signal.KyberPreKeyRecord);
  }
  async markKyberPreKeyUsed() {}
}

class Correspondent {
  constructor(who, journal) {
    Object.assign(this, { who, journal, records: new Records(), backup: new Map() });
    this.sessions = new Sessions(this.records);
    this.identities = new Identities(signal.PrivateKey.generate(), who + 1);
    this.preKeys = new PreKeys(this.records);
    this.signedPreKeys = new SignedPreKeys(this.records);
    this.kyberPreKeys = new KyberPreKeys(this.records);
  }

  async bundle() {
    const key = this.identities.key;
    const [once, signed, kyber] = [signal.PrivateKey.generate(), signal.PrivateKey.generate(), signal.KEMKeyPair.generate()];
    const signature = key.sign(signed.getPublicKey().serialize());
    const kyberSignature = key.sign(kyber.getPublicKey().serialize());
    await this.preKeys.savePreKey(1, signal.PreKeyRecord.new(1, once.getPublicKey(), once));
    const record = signal.SignedPreKeyRecord.new(1, Date.now(), signed.getPublicKey(), signed, signature);
    await this.signedPreKeys.saveSignedPreKey(1, record);
    await this.kyberPreKeys.saveKyberPreKey(1, signal.KyberPreKeyRecord.new(1, Date.now(), kyber, kyberSignature));
    return signal.PreKeyBundle.new(
      this.who + 1, 1, 1, once.getPublicKey(), 1, signed.getPublicKey(), signature, key.getPublicKey(),
      1, kyber.getPublicKey(), kyberSignature,
    );
  }

  keep(bytes) {
    if (this.journal === null) return;
    const session = this.records.kept.get(`session ${NAMES[1 - this.who]}`);
    writeSync(this.journal, Buffer.concat([session, bytes]));
    fdatasyncSync(this.journal);
  }

  async seal(text) {
    const args = [address(1 - this.who), address(this.who), this.sessions, this.identities];
    const message = await signal.signalEncrypt(text, ...args);
    const sealed = Buffer.concat([Buffer.from([message.type()]), message.serialize()]);
    this.keep(sealed);
    return sealed;
  }

  async open(sealed) {
    const args = [address(1 - this.who), address(this.who), this.sessions, this.identities];
    const text =
      sealed[0] === signal.CiphertextMessageType.PreKey
        ? await signal.signalDecryptPreKey(
            signal.PreKeySignalMessage.deserialize(sealed.subarray(1)), ...args,
            this.preKeys, this.signedPreKeys, this.kyberPreKeys,
          )
        : await signal.signalDecrypt(signal.SignalMessage.deserialize(sealed.subarray(1)), ...args);
    this.keep(text);
    return text;
  }
}

const journals = process.argv.slice(2).map((path) => openSync(path, "a"));
const both = [0, 1].map((who) => new Correspondent(who, journals[who]));
const { sessions, identities } = both[0];
await signal.processPreKeyBundle(await both[1].bundle(), address(1), address(0), sessions, identities);

async function messages({ count, text, durable }) {
  const plain = Buffer.from(text, "base64");
  let sealed = Buffer.alloc(0);
  for (const one of both) one.journal = durable ? journals[one.who] : null;
  const start = process.hrtime.bigint();
  for (let turn = 0; turn < count; turn++) {
    sealed = await both[turn % 2].seal(plain);
    await both[1 - (turn % 2)].open(sealed);
  }
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  for (const one of both) one.journal = journals[one.who];
  return { seconds, bytes: sealed.length };
}

const acts = {
  messages,
  seal: async ({ by, text }) => ({ sealed: base64(await both[by].seal(Buffer.from(text, "base64"))) }),
  open: async ({ by, sealed }) => ({ text: base64(await both[by].open(Buffer.from(sealed, "base64"))) }),
  backup: async ({ by }) => {
    both[by].backup = new Map(both[by].records.kept);
    return {};
  },
  restore: async ({ by }) => {
    both[by].records.kept = new Map(both[by].backup);
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const answer = await acts[asked.do](asked).catch((error) => ({ error: String(error) }));
  process.stdout.write(JSON.stringify(answer) + "\n");
}
journals.forEach(closeSync);
