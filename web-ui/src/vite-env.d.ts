interface ImportMetaEnv {
  /** The gateway's address when the page is not served by it. */
  readonly VITE_API_URL?: string;
}
