/** Uploads files to moc-uploads: resumable, in parallel, with progress. */

export type { Api, Call, PartCall } from "./api.js";
export { createApi } from "./api.js";
export { categoryOf } from "./category.js";
export type { ClientErrorCode } from "./error.js";
export { UploadError } from "./error.js";
export { findUploads, forgetUpload } from "./storage.js";
export type * from "./types.js";
export { createUpload } from "./upload.js";
export { watchUpload } from "./watch.js";
export type * from "./wire.js";
