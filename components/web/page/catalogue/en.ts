/** English. Another language is another file with the same keys: `Catalogue` says which. */

import { isolated, plural } from "./intl.ts";

const LOCALE = "en-GB";

/** The kinds of file that a category accepts, in a sentence. */
const kinds = {
  instruction: "PDF",
  "parts-list": "CSV, XML, TXT or JSON file",
  image: "JPEG, PNG, WebP or GIF picture",
  thumbnail: "JPEG, PNG, WebP or GIF picture",
};

/** How to get a file that a category accepts. */
const exports = {
  instruction: "Export the instructions as PDF.",
  "parts-list": "Save a spreadsheet as CSV before you upload it.",
  image: "Save the picture as JPEG or PNG. Phones may have stored it as HEIC.",
  thumbnail: "Save the picture as JPEG or PNG. Phones may have stored it as HEIC.",
};

const supported = "Instructions are PDF files, parts lists CSV, XML, TXT or JSON, and pictures JPEG, PNG, WebP or GIF.";

/** A file in a sentence. */
const quoted = (name: string | undefined) => (name === undefined ? "A file" : `“${isolated(name)}”`);

export const en = {
  locale: LOCALE,

  heading: "Upload your MOC",
  introduction:
    "Instructions, parts list and pictures of your own creation. Large files are sent in parts: pause when you like, and resume after a lost connection, a reload or a restart.",
  documentTitle: (status: string, title: string) => `${status} – ${isolated(title)}`,

  categories: { instruction: "Instructions", "parts-list": "Parts list", image: "Picture", thumbnail: "Thumbnail" },

  /** Units of sizes, by powers of 1,024. */
  units: (count: number) => [plural(LOCALE, count, { one: "byte", other: "bytes" }), "KiB", "MiB", "GiB", "TiB"],
  sizeWithUnit: (value: string, unit: string) => `${value} ${unit}`,
  sizeOfTotal: (value: string, total: string) => `${value} of ${total}`,
  perSecond: (size: string) => `${size}/s`,
  timeLeft: (duration: string) => `${duration} left`,
  speedAndTimeLeft: (speed: string, timeLeft: string) => `${speed}, ${timeLeft}`,

  form: {
    heading: "New upload",
    files: "Files",
    chooseFiles: "Choose files",
    orDrop: "or drop them here",
    filesHint: `${supported} Include one PDF with the instructions.`,
    locationHint: "The location is removed from JPEG, PNG and WebP pictures before they are sent.",
    title: "Title",
    description: "Description (optional)",
    tags: "Tags (optional)",
    tagsHint: "Separate tags with commas, for example: castle, medieval",
    upload: "Upload",
    remove: (name: string) => `Remove ${isolated(name)}`,
    removed: (name: string) => `${isolated(name)} removed.`,
    added: (added: number, total: number) =>
      `${added} ${plural(LOCALE, added, { one: "file", other: "files" })} added, ${total} in total.`,
    categoryAndSize: (category: string, size: string) => `${category}, ${size}`,
    folders: (names: string, count: number) =>
      plural(LOCALE, count, {
        one: `${names} is a folder. Drop the files in it instead.`,
        other: `${names} are folders. Drop the files in them instead.`,
      }),
    unsupported: (names: string) => `${names} cannot be uploaded. ${supported}`,
    empty: (names: string, count: number) =>
      plural(LOCALE, count, { one: `${names} is empty.`, other: `${names} are empty.` }),
    replaced: (names: string, count: number) =>
      plural(LOCALE, count, {
        one: `${names} was already in the list and is replaced.`,
        other: `${names} were already in the list and are replaced.`,
      }),
    filesMissing: "Choose the files of your MOC.",
    instructionMissing: "The building instructions are missing. Add them as a PDF file.",
    titleMissing: "Enter a title for your MOC.",
    tooManyTags: (count: number, max: number) => `You entered ${count} tags. Use at most ${max}.`,
    tagTooLong: (tag: string, max: number) => `The tag “${isolated(tag)}” is too long. Use at most ${max} characters.`,
  },

  upload: {
    states: {
      idle: "Preparing",
      preparing: "Preparing",
      uploading: "Uploading",
      paused: "Paused:",
      finalizing: "Publishing",
      finalized: "Published:",
      failed: "Not uploaded:",
      cancelled: "Cancelling",
    },
    fileStates: {
      waiting: "Waiting",
      hashing: "Checking",
      uploading: "Uploading",
      completed: "Done",
      failed: "Failed",
    },
    allFiles: "All files",
    notUploaded: "Not uploaded",
    pause: "Pause",
    resume: "Resume",
    paused: "Paused",
    verifying: "Verifying and publishing",
    cancel: "Cancel upload",
    deletingLater: "The uploaded data is deleted as soon as the server can be reached.",
    deleting: "The uploaded data is being deleted.",
    cancelTitle: "Cancel this upload?",
    cancelText: "The data uploaded so far is deleted.",
    keep: "Keep going",
    confirmCancel: "Yes, cancel it",
    retry: "Try again",
    changeFiles: "Change files",
    continueWithout: (name: string) => `Continue without ${isolated(name)}`,
    close: "Close",
    requestId: (id: string) => `For support: ${id}`,
    announce: {
      paused: "Paused.",
      resumed: "Resuming.",
      uploading: (title: string) => `Uploading ${isolated(title)}.`,
      publishing: "All files are uploaded. Publishing.",
      stalled: "Upload stalled. Waiting for the connection.",
      filesDone: (names: string) => `${names} done.`,
      percent: (percent: string) => `${percent} uploaded.`,
      published: (title: string) => `${isolated(title)} is published.`,
      cancelled: "Upload cancelled.",
    },
    changed: (names: string, count: number) =>
      plural(LOCALE, count, {
        one: `${names} has changed since this upload began. All files are sent again.`,
        other: `${names} have changed since this upload began. All files are sent again.`,
      }),
    waitingForConnection: "The connection is lost. The upload resumes automatically when it is back.",
    waitingForServer: "The server is busy. The upload resumes automatically.",
    notCancelled: (reason: string) => `The upload was not cancelled. ${reason}`,
  },

  published: {
    state: "Published",
    tags: "Tags",
    another: "Upload another",
    thumbnailOf: (title: string) => `Thumbnail of ${isolated(title)}`,
  },

  earlier: {
    heading: "Earlier uploads",
    showAll: (count: number) => `Show all ${count}`,
    remove: "Forget",
    removed: (title: string) => `${isolated(title)} is removed from this list. It is still published.`,
    chooseAgain: (names: string) => `To resume, choose the same files again: ${names}.`,
    resume: "Resume",
    signIn: "Sign in",
    discard: "Discard",
    discarding: "Discarding",
    discarded: (title: string) => `${isolated(title)} is discarded.`,
    filesToResume: "Files to resume with",
    unfinished: "Unfinished",
    deleted: "Deleted on the server",
    signInToSee: "Sign in to see its progress",
    unreachable: "The server cannot be reached",
    expired: "Expired: it starts from the beginning",
    stored: (size: string) => `${size} stored`,
    elsewhere: "Uploading in another tab",
    uploadedElsewhere: "Another tab is uploading this.",
    uploadedElsewhereAdvice: "Continue there, or close that tab first.",
  },

  signIn: {
    title: "Sign in",
    text: "Sign in to continue. The access token is kept until you close this tab.",
    token: "Access token",
    submit: "Continue",
    later: "Not now",
  },

  /** What happened, and what to do, by the code of an error. */
  errors: {
    other: { happened: "The upload failed.", advice: "Try again later." },
    network: {
      happened: "The server cannot be reached.",
      advice: "Check your connection and try again. The uploaded data is kept.",
    },
    unexpectedResponse: {
      happened: "A proxy or firewall blocked the upload.",
      advice: "Try again, from another network if you can.",
    },
    timeout: {
      happened: "The upload timed out because the connection is slow.",
      advice: "Try again, on a faster connection if you can. The uploaded data is kept.",
    },
    unauthorized: {
      happened: "You are not signed in, or your access token has expired.",
      advice: "Try again and enter a valid access token.",
    },
    mismatch: {
      missing: (name: string) => `${quoted(name)} is missing.`,
      unknown: (name: string) => `${quoted(name)} does not belong to this upload.`,
      advice: "Choose all files of this upload, and no others.",
    },
    unreadable: (name: string | undefined) => ({
      happened: `${quoted(name)} can no longer be read.`,
      advice: "It may have been changed, moved or deleted. Choose it again.",
    }),
    unsupported: (name: string | undefined) => ({
      happened: `The file type of ${quoted(name)} is not supported.`,
      advice: supported,
    }),
    tooLarge: (name: string | undefined) => ({
      happened: `${quoted(name)} is too large.`,
      advice: "Choose a smaller file.",
    }),
    tooLargeBy: (name: string | undefined, excess: string, limit: string) => ({
      happened: `${quoted(name)} is ${excess} over the limit of ${limit}.`,
      advice: "Choose a smaller file.",
    }),
    tooLargeFor: (name: string | undefined, size: string, limit: string) => ({
      happened: `${quoted(name)} is too large: it is ${size}, and the limit is ${limit}.`,
      advice: "Choose a smaller file.",
    }),
    instructionMissing: { happened: "The building instructions are missing.", advice: "Add them as a PDF file." },
    tooManyFiles: (max: number | undefined) => ({
      happened: "You chose too many files.",
      advice: max === undefined ? "Choose fewer files." : `Choose at most ${max}.`,
    }),
    invalid: (fields: string) => ({ happened: "Some fields are invalid.", advice: fields }),
    fields: {
      title: "Title",
      description: "Description",
      tags: "Tags",
      name: "File name",
      size: "File size",
      type: "File type",
      other: "A field",
    },
    /** `message` is the server's, for example "must have at most 100 characters". */
    invalidField: (field: string, message: string) => `${field} ${message}.`,
    titleConflict: {
      happened: "You already have a MOC with this title.",
      advice: "Enter another title. All files are uploaded and kept.",
    },
    damaged: (name: string | undefined) => ({
      happened: `${quoted(name)} was damaged on its way.`,
      advice: "Try again to send it once more.",
    }),
    incomplete: (name: string | undefined) => ({
      happened: `${quoted(name)} did not arrive completely.`,
      advice: "Try again to send it once more.",
    }),
    wrongContent: (name: string | undefined, category: keyof typeof kinds | undefined) => ({
      happened:
        category === undefined
          ? `${quoted(name)} is not what its name says.`
          : `${quoted(name)} is not a valid ${kinds[category]}.`,
      advice: category === undefined ? "Choose another file." : exports[category],
    }),
    expired: { happened: "The upload has expired.", advice: "Try again: it starts from the beginning." },
    notActive: { happened: "This upload was cancelled or is already published.", advice: "Start a new one." },
    notFound: {
      happened: "The server does not know this upload.",
      advice: "It was deleted, or it belongs to another user. Start a new one.",
    },
    publishing: { happened: "Your MOC is being published.", advice: "Try again in a few seconds to see it." },
    rateLimit: (time: string | undefined) => ({
      happened: "You started too many uploads in a short time.",
      advice: time === undefined ? "Try again later." : `Try again after ${time}.`,
    }),
    openSessions: (time: string | undefined) => ({
      happened: "You have too many unfinished uploads.",
      advice: `Publish or cancel one of them${time === undefined ? "" : `, or try again after ${time}`}.`,
    }),
    openUploads: {
      happened: "Too many of your files are being uploaded.",
      advice: "Try again when some of them are complete.",
    },
    bytesPerDay: (limit: string, time: string | undefined) => ({
      happened: `You can upload ${limit} a day.`,
      advice: time === undefined ? "Try again tomorrow." : `Try again after ${time}.`,
    }),
    overQuota: (limit: string | undefined) => ({
      happened: "Your files are too large together.",
      advice: limit === undefined ? "Choose fewer or smaller files." : `Choose files of at most ${limit} together.`,
    }),
    unavailable: {
      happened: "Storage is temporarily unavailable.",
      advice: "No data was lost. Try again in a minute.",
    },
    server: {
      happened: "The server failed to process the upload.",
      advice: "Try again later. If it happens again, contact support with the number below.",
    },
  },
};
