/** What goes over the wire, by the names of the OpenAPI document. */

import type { components } from "./openapi.js";

type Schemas = components["schemas"];

/** What a file of a MOC is for. */
export type Category = Schemas["Category"];
/** Checksums of a whole file, in hex. */
export type Checksums = Schemas["Checksums"];
/** A part that was sent straight to the bucket. */
export type DirectPart = Schemas["DirectPart"];
/** A file as it is declared when a session is created. */
export type FileDeclaration = Schemas["FileDeclaration"];
/** 200 of `completeFile`. */
export type FileCompleted = Schemas["FileCompleted"];
/** 201 of `registerFile`. */
export type FileRegistered = Schemas["FileRegistered"];
/** A file of a session. */
export type FileState = Schemas["FileState"];
/** Body of `finalize`. */
export type Finalize = Schemas["Finalize"];
/** Body of `getPartUrls`. */
export type GetPartUrls = Schemas["GetPartUrls"];
/** What finalize makes of a session. */
export type Moc = Schemas["Moc"];
/** A file of a MOC. */
export type MocFile = Schemas["MocFile"];
/** 200 of `putPart`, and one part of `putBatch`. */
export type PartStored = Schemas["PartStored"];
/** Where a part can be sent straight to the bucket. */
export type PartUrl = Schemas["PartUrl"];
/** 200 of `getPartUrls`. */
export type PartUrls = Schemas["PartUrls"];
/** 200 of `recordParts`. */
export type PartsRecorded = Schemas["PartsRecorded"];
/** Problem details (RFC 9457): one type for each code, with its fields. */
export type Problem = Schemas[Exclude<Extract<keyof Schemas, `${string}Problem`>, "Problem">];
/** The code of a problem. */
export type ProblemCode = Problem["code"];
/** Body of `recordParts`. */
export type RecordParts = Schemas["RecordParts"];
/** Body of `registerFile`. */
export type RegisterFile = Schemas["RegisterFileLong"];
/** 201 of `createSession`. */
export type SessionCreated = Schemas["SessionCreated"];
/** 200 of `getSession`. */
export type SessionState = Schemas["SessionState"];
/** A session's state. */
export type SessionStatus = Schemas["SessionStatus"];
/** 200 of `listParts`. */
export type StoredParts = Schemas["StoredParts"];
