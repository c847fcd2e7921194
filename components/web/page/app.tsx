import { announcement } from "./announcement.ts";
import brick from "./brick.svg";
import { t } from "./catalogue/index.ts";
import { ChooseFiles } from "./choose-files.tsx";
import { EarlierUploads } from "./earlier/earlier-uploads.tsx";
import { Finished } from "./finished.tsx";
import { screen } from "./screen.ts";
import { SignIn } from "./sign-in.tsx";
import { Uploading } from "./uploading.tsx";

export function App() {
  return (
    <>
      <main>
        <header class="masthead">
          <img src={brick} alt="" width="48" height="48" />
          <h1>{t.heading}</h1>
          <p>{t.introduction}</p>
        </header>
        <Current />
        <EarlierUploads />
      </main>
      <p class="hidden" role="status" aria-live="polite">
        {announcement}
      </p>
      <SignIn />
    </>
  );
}

function Current() {
  const shown = screen.value;
  switch (shown.at) {
    case "choosing":
      return <ChooseFiles focus={shown.returned} />;
    case "uploading":
      return <Uploading run={shown.run} />;
    case "finished":
      return <Finished moc={shown.moc} />;
  }
}
