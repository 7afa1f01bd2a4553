// What `make check` holds JavaScript to; types are checked by tsc.
import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["_build/", "book/_assets/vendor/", ".venv/", "**/*.d.ts"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: "latest", globals: { ...globals.browser, ...globals.node } },
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-shadow": "error",
      "no-undef": "off", // tsc knows better
      "no-unused-vars": "off", // tsc, too, and it reads the imports of types
    },
  },
];
