import hooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

// app → features → lib. A feature never imports another feature: they meet in lib's store and
// router. What is composed of several features stands in app.
const features = ['accounts', 'breakit', 'deadletters', 'events', 'flow', 'guide', 'kafka', 'ledger', 'metrics', 'simulation', 'tour'];

/** @param {{ regex: string, message: string }[]} patterns */
const forbid = (...patterns) => ({ 'no-restricted-imports': ['error', { patterns }] });
const noApp = { regex: '^@/(App|app|main)(/|$)', message: 'app → features → lib: only app imports app.' };
const noClimbing = { regex: '^\\.\\./', message: 'Import across folders by @/…, so that the layers show.' };

export default tseslint.config(
  { ignores: ['dist*', 'node_modules', 'src/lib/openapi.ts', 'public'] },
  ...tseslint.configs.strict,
  hooks.configs.flat['recommended-latest'] ?? hooks.configs['recommended-latest'],
  { rules: { eqeqeq: 'error', 'no-console': 'error' } },
  {
    files: ['src/lib/**'],
    rules: forbid(noApp, { regex: '^@/features/', message: 'lib imports no feature.' }),
  },
  ...features.map((feature) => ({
    files: [`src/features/${feature}/**`],
    rules: forbid(noApp, noClimbing, {
      regex: `^@/features/(?!${feature}/)`,
      message: 'Features do not import each other: meet in lib.',
    }),
  })),
  { files: ['scripts/**', 'e2e/**', 'eslint.config.js'], rules: { 'no-console': 'off' } },
);
